//! The notice at the counter: what a person may read before anything is taken.
//!
//! The text is what stands in the state folder: the page that the center printed (`notice.zh.html`, `notice.en.html`; its words
//! alone are taken), or plain text (`.txt`); and the shipped one where there is neither. Its version is the policy's. Not here: which
//! version a capture names.

use std::{fs, path::Path};

use super::words::Language;

/// The largest notice read, in bytes.
const NOTICE_MAX: u64 = 64 * 1024;

const SHIPPED_ZH: &str = "为保护医保基金和您的社会保障卡，本柜台可用摄像头核对您与卡上照片是否为同一人。

不想用摄像头？请告诉工作人员，改用其他核验方式（如出示身份证件）。不需要说明理由，不影响您就医、购药和结算。

拍摄您的面部，提取人脸特征，与办卡照片的特征比对，不用于其他目的，不向他人提供。结果仅供核对参考，机器不会自行决定不予结算。

照片与特征加密传输、加密保存，按最短期限删除；不含人脸的核验记录依法至少保存三年。每次查看人脸都有记录。

您可以查阅、复制、更正、删除您的个人信息，撤回同意，要求解释，或者投诉：请向工作人员索取书面告知。不满十四周岁的未成年人由父母或者其他监护人同意。老年人、行动不便者可请工作人员协助。";

const SHIPPED_EN: &str =
    "To protect the insurance fund and your social-security card, a camera at this counter can check whether you are the person on the card.

You would rather not? Tell the staff and take another way (show an identity document, for instance). You need give no reason, and it changes nothing about your care, your medicine or your settlement.

Your face is photographed, its features are extracted and compared with those of your card's photo. Nothing else is done with them and nobody else gets them. The result is a hint: no settlement is refused for what a machine thinks.

Photos and features travel and rest encrypted and are deleted as early as possible. Records of results, which hold no face, are kept for three years or more as the law asks. Every look at a face is recorded.

You can see, copy, correct or delete your data, withdraw consent, ask for an explanation, or complain: ask the staff for the printed notice. For children under 14 a parent or guardian consents. The staff help older people and anyone who asks.";

/// The paragraphs of the notice in a language.
#[must_use]
pub(super) fn paragraphs(dir: &Path, language: Language) -> Vec<String> {
    let file = |ending: &str| read(&dir.join(format!("notice.{}.{ending}", language.code())));
    let own = file("html").map(|page| words_of(&page)).or_else(|| file("txt"));
    let text = own.as_deref().unwrap_or(language.of([SHIPPED_ZH, SHIPPED_EN]));
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.filter(|paragraph| !paragraph.is_empty()).collect()
}

/// The words of a page, a paragraph for each of its blocks.
fn words_of(page: &str) -> String {
    let body = page.split_once("<body").map_or(page, |(_, body)| body);
    let mut text = String::with_capacity(body.len());
    let mut parts = body.split('<');
    // What is left of the opening tag itself.
    text.push_str(parts.next().and_then(|rest| rest.split_once('>')).map_or("", |(_, words)| words));
    for part in parts {
        let Some((tag, words)) = part.split_once('>') else { continue };
        let ends = ["/p", "/h1", "/h2", "/h3", "/li", "/div", "/footer", "br"].iter().any(|block| tag.eq_ignore_ascii_case(block));
        text.push_str(if ends { "\n\n" } else { "" });
        text.push_str(words);
    }
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#34;", "\""),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ];
    entities.into_iter().fold(text, |text, (entity, sign)| text.replace(entity, sign))
}

fn read(path: &Path) -> Option<String> {
    let fits = fs::metadata(path).ok()?.len() <= NOTICE_MAX;
    let text = fs::read_to_string(path).ok().filter(|_| fits)?.replace("\r\n", "\n");
    (!text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_institutions_own_words_come_first() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Language::ALL.map(|language| paragraphs(dir.path(), language).len()), [5, 5]);
        fs::write(dir.path().join("notice.zh.txt"), "第一段\r\n\r\n第二段\n").unwrap();
        assert_eq!(paragraphs(dir.path(), Language::Zh), ["第一段", "第二段"]);
        let page = "<!doctype html><html><head><title>T</title><style>p { color: blue }</style></head>\n<body class=\"a\">\n<h1>标题</h1>\n\
                    <p class=\"large\">甲 &amp;lt; <strong>乙</strong>\n丙</p><ul><li>丁</li></ul><footer>N-1</footer></body></html>";
        fs::write(dir.path().join("notice.zh.html"), page).unwrap();
        assert_eq!(paragraphs(dir.path(), Language::Zh), ["标题", "甲 &lt; 乙 丙", "丁", "N-1"], "the center's page comes first");
        fs::remove_file(dir.path().join("notice.zh.html")).unwrap();
        fs::write(dir.path().join("notice.zh.txt"), "x".repeat(70_000)).unwrap();
        assert_eq!(paragraphs(dir.path(), Language::Zh).len(), 5, "too large to be one");
    }
}
