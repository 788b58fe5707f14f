//! Pages say what the policy and the settings say.

use super::*;

fn facts(text: &str) -> Facts {
    let config = crate::config::Config::shipped().unwrap();
    Facts {
        policy: Policy::from_toml(text).unwrap(),
        retention: config.retention.rule(),
        law: LawConfig { controller: "宁波市医保中心 <测试>".into(), ..config.law },
        holdings: Holdings { persons_with_face: 100_000, ..Holdings::default() },
        made_on: "2026-11-22".into(),
    }
}

/// The shipped policy with consent as its basis.
fn consent() -> String {
    Policy::SHIPPED.replace("basis = \"legal_duty\"", "basis = \"consent\"").replace("consent_version = \"\"", "consent_version = \"c-3\"")
}

#[test]
fn the_notice_names_version_way_out_and_rights_in_both_languages() {
    let zh = notice(&facts(Policy::SHIPPED), Language::Zh).unwrap();
    let en = notice(&facts(Policy::SHIPPED), Language::En).unwrap();
    for page in [&zh, &en] {
        assert!(page.contains("notice-1") && page.contains("2026-11-22") && !page.contains("c-3"), "{page}");
        assert!(page.contains("宁波市医保中心 &#60;测试&#62;") && page.contains("____________________"), "{page}");
        assert!(!page.contains("<script") && !page.contains("http"), "a page that is printed asks nobody for anything");
    }
    assert!(zh.contains("其他核验方式") && zh.contains("十四周岁") && zh.contains("lang=\"zh\""));
    assert!(en.contains("another way") && en.contains("under 14") && en.contains("lang=\"en\""));
}

#[test]
fn consent_is_named_where_a_scene_rests_on_it() {
    assert!(notice(&facts(&consent()), Language::Zh).unwrap().contains("c-3"));
    assert!(notice(&facts(&consent()), Language::En).unwrap().contains("c-3"));
}

#[test]
fn a_search_across_cards_is_told_where_it_is_on() {
    let on = Policy::SHIPPED.replace("enabled = false", "enabled = true\nbasis = \"public_task\"");
    for (text, told) in [(Policy::SHIPPED, false), (on.as_str(), true)] {
        assert_eq!(notice(&facts(text), Language::Zh).unwrap().contains("多张卡"), told);
        assert_eq!(notice(&facts(text), Language::En).unwrap().contains("several cards"), told);
    }
}

#[test]
fn the_assessment_has_the_figures_of_the_center() {
    for language in [Language::Zh, Language::En] {
        let page = assessment(&facts(Policy::SHIPPED), language).unwrap();
        for expected in ["shadow-1", "100000", "1/19420", "faceplugin-mfn512@1", "2026-11-22", "1095"] {
            assert!(page.contains(expected), "{expected} in {page}");
        }
    }
    let due = assessment(&facts(Policy::SHIPPED), Language::En).unwrap();
    assert!(due.contains("filing is due"), "{due}");
    let below = Facts { holdings: Holdings::default(), ..facts(Policy::SHIPPED) };
    assert!(!assessment(&below, Language::En).unwrap().contains("filing is due"));
}
