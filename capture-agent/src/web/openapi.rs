//! The API's description, made from the list of operations, the types of its bodies and the table of problems.

use std::collections::{BTreeMap, BTreeSet};

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    Operation,
    body::{
        AttemptRequest, ConfirmRequest, DocumentCheckRequest, NoRequest, OpenRequest, OperatorRequest, ProxyRequest, ReverseRequest,
        VerifyRequest,
    },
    handlers::{Health, ShiftView},
    operation::Verb,
};
use crate::{
    answer::VerifyAnswer,
    problem::{self, ErrorBody},
    till::{events::EventKind, view::TransactionView},
};

/// What of a body's type stands in the description.
struct Shape {
    request: Option<Value>,
    /// Whether the request may be left out.
    optional: bool,
    answers: Vec<(u16, Value)>,
}

/// The description, OpenAPI 3.1.
pub(super) fn description() -> Value {
    let mut generator = SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into()).into_generator();
    let error = json_of::<ErrorBody>(&mut generator);
    let mut paths: Map<String, Value> = Map::new();
    for operation in Operation::ALL {
        let described = described(*operation, &mut generator, &error);
        let verb = match operation.verb() {
            Verb::Get => "get",
            Verb::Post => "post",
        };
        paths.insert(operation.path().to_owned(), json!({ verb: described }));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Countersign capture agent / 人脸核验终端本地接口",
            "version": "1",
            "description": "Loopback API for till and HIS software. Bear a program's key (capture-agent api-key add) as a bearer token. \
                            What the till does stands in `disposition`; what the settlement side takes is the receipt.\n\n\
                            供收银与 HIS 软件调用的本机接口。以 api-key add 给出的密钥作为 bearer token。按 disposition 处理；结算以核验凭证（receipt）为准。",
        },
        "security": [{ "key": [] }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn json_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

fn shape(operation: Operation, generator: &mut SchemaGenerator) -> Shape {
    let (request, optional) = match operation {
        Operation::Verify => (Some(json_of::<VerifyRequest>(generator)), false),
        Operation::Open => (Some(json_of::<OpenRequest>(generator)), false),
        Operation::Attempt | Operation::Chip | Operation::OtherWay => (Some(json_of::<AttemptRequest>(generator)), true),
        Operation::DocumentCheck => (Some(json_of::<DocumentCheckRequest>(generator)), false),
        Operation::Proxy => (Some(json_of::<ProxyRequest>(generator)), false),
        Operation::Confirm => (Some(json_of::<ConfirmRequest>(generator)), false),
        Operation::Reverse => (Some(json_of::<ReverseRequest>(generator)), true),
        Operation::Cancel => (Some(json_of::<NoRequest>(generator)), true),
        Operation::Operator => (Some(json_of::<OperatorRequest>(generator)), false),
        Operation::Show | Operation::Events | Operation::Health | Operation::Description => (None, true),
    };
    let answers = match operation {
        Operation::Verify | Operation::Attempt | Operation::DocumentCheck | Operation::Chip | Operation::OtherWay => {
            vec![(200, json_of::<VerifyAnswer>(generator))]
        }
        Operation::Open => vec![(200, json_of::<TransactionView>(generator)), (201, json_of::<TransactionView>(generator))],
        Operation::Show | Operation::Proxy | Operation::Confirm | Operation::Reverse | Operation::Cancel => {
            vec![(200, json_of::<TransactionView>(generator))]
        }
        Operation::Operator => vec![(200, json_of::<ShiftView>(generator))],
        Operation::Health => vec![(200, json_of::<Health>(generator))],
        Operation::Events => vec![(200, json_of::<EventKind>(generator))],
        Operation::Description => vec![(200, json!({ "type": "object" }))],
    };
    Shape { request, optional, answers }
}

fn described(operation: Operation, generator: &mut SchemaGenerator, error: &Value) -> Value {
    let Shape { request, optional, answers } = shape(operation, generator);
    let mut responses: BTreeMap<String, Value> = BTreeMap::new();
    for (status, schema) in answers {
        let kind = if operation == Operation::Events { "text/event-stream" } else { "application/json" };
        let description = if operation == Operation::Events { "Events named by this word, with JSON as data." } else { "Done." };
        responses.insert(status.to_string(), json!({ "description": description, "content": { kind: { "schema": schema } } }));
    }
    let mut codes: BTreeMap<u16, BTreeSet<&str>> = BTreeMap::new();
    for code in operation.codes() {
        codes.entry(problem::of(code).status).or_default().insert(code);
    }
    for (status, codes) in codes {
        let said = |code: &&str| {
            let problem = problem::of(code);
            format!("`{code}`: {}; {} / {}；{}", problem.en, problem.do_en, problem.zh, problem.do_zh)
        };
        let text: Vec<String> = codes.iter().map(said).collect();
        let content = json!({ "application/json": { "schema": error } });
        responses.insert(status.to_string(), json!({ "description": text.join("\n\n"), "content": content, "x-codes": codes }));
    }
    let [zh, en] = operation.summary();
    let mut described = json!({ "operationId": operation.name(), "summary": format!("{en} / {zh}"), "responses": responses });
    if let (Some(request), Some(fields)) = (request, described.as_object_mut()) {
        let body = json!({ "required": !optional, "content": { "application/json": { "schema": request } } });
        fields.insert("requestBody".to_owned(), body);
    }
    if let (true, Some(fields)) = (operation.path().contains("{id}"), described.as_object_mut()) {
        let mut parameters = vec![json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } })];
        if operation == Operation::Events {
            parameters.push(json!({ "name": "Last-Event-ID", "in": "header", "schema": { "type": "integer" } }));
        }
        fields.insert("parameters".to_owned(), parameters.into());
    }
    described
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::PROBLEMS;

    #[test]
    fn every_code_of_the_table_is_met_somewhere_and_every_code_met_is_in_the_table() {
        let met: BTreeSet<&str> = Operation::ALL.iter().flat_map(|operation| operation.codes()).collect();
        // These two are answered for paths and methods that are no operation.
        let elsewhere = ["not_found", "method_not_allowed"];
        let table: BTreeSet<&str> = PROBLEMS
            .iter()
            .filter(|problem| problem.status != 0 && !elsewhere.contains(&problem.code))
            .map(|problem| problem.code)
            .collect();
        assert_eq!(met, table);
    }

    #[test]
    fn every_reference_of_the_description_leads_somewhere() {
        let description = description();
        let text = description.to_string();
        let mut count = 0;
        for reference in text.split("\"$ref\":\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(description.pointer(pointer).is_some(), "{reference}");
            count += 1;
        }
        assert!(count > 20, "{count}");
        for (name, schema) in description["components"]["schemas"].as_object().unwrap() {
            for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
                let said = schema["description"].is_string() || schema["$ref"].is_string() || schema["anyOf"].is_array();
                assert!(said, "{name}.{field} is not described");
            }
        }
    }

    #[test]
    fn operations_are_named_once_in_both_languages() {
        let mut seen = BTreeSet::new();
        for operation in Operation::ALL {
            assert!(seen.insert(operation.path()), "{} twice", operation.path());
            let [zh, en] = operation.summary();
            assert!(zh.chars().any(|c| c > '\u{4e00}') && en.is_ascii(), "{operation:?}");
        }
    }
}
