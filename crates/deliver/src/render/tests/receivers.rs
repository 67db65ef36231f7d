//! How PHP and Rack read a form, written from their own sources and not from our encoder:
//! `php_register_variable_ex` in php-src `main/php_variables.c`, `normalize_params` in rack `query_parser.rb`.

use serde_json::{Map, Value};

/// `application/x-www-form-urlencoded` undone by hand.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut digit = || char::from(rest.next().unwrap()).to_digit(16).unwrap() as u8;
                bytes.push(digit() * 16 + digit());
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn pairs(form: &str) -> impl Iterator<Item = (String, String)> + '_ {
    form.split('&').map(|pair| {
        let (key, value) = pair.split_once('=').unwrap();
        (unescape(key), unescape(value))
    })
}

pub(super) fn php(form: &str) -> Value {
    let mut root = Map::new();
    for (key, value) in pairs(form) {
        let base_end = key.find('[').unwrap_or(key.len());
        let base = key[..base_end].trim_start_matches(' ').replace(['.', ' '], "_");
        let mut path = vec![Some(base)];
        let mut rest = &key[base_end..];
        while let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']').expect("PHP would turn a bracket that is never closed into _");
            path.push((end > 0).then(|| inner[..end].to_owned()));
            // What follows a closing bracket and is no opening one is ignored.
            rest = &inner[end + 1..];
        }
        php_put(&mut root, &path, value);
    }
    Value::Object(root)
}

/// PHP's arrays are ordered maps; `[]` takes the next free number.
fn php_put(array: &mut Map<String, Value>, path: &[Option<String>], value: String) {
    let numbers = array.keys().filter_map(|key| key.parse::<u64>().ok());
    let next = numbers.max().map_or(0, |greatest| greatest + 1).to_string();
    let key = path[0].clone().unwrap_or(next);
    if path.len() == 1 {
        array.insert(key, Value::String(value));
        return;
    }
    let inner = array.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !inner.is_object() {
        *inner = Value::Object(Map::new());
    }
    php_put(inner.as_object_mut().unwrap(), &path[1..], value);
}

pub(super) fn rack(form: &str) -> Value {
    let mut root = Map::new();
    for (key, value) in pairs(form) {
        rack_put(&mut root, &key, value, 0);
    }
    Value::Object(root)
}

fn rack_put(params: &mut Map<String, Value>, name: &str, value: String, depth: usize) {
    let (key, after) = rack_split(name, depth);
    if key.is_empty() {
        return;
    }
    match after {
        "" => {
            params.insert(key.to_owned(), Value::String(value));
        }
        "[]" => {
            let list = params.entry(key).or_insert_with(|| Value::Array(Vec::new()));
            list.as_array_mut().expect("Rack raises ParameterTypeError").push(Value::String(value));
        }
        _ => {
            let inner = params.entry(key).or_insert_with(|| Value::Object(Map::new()));
            rack_put(inner.as_object_mut().expect("Rack raises ParameterTypeError"), after, value, depth + 1);
        }
    }
}

fn rack_split(name: &str, depth: usize) -> (&str, &str) {
    let from_second = |needle: char| {
        let second = name.char_indices().nth(1).map_or(name.len(), |(at, _)| at);
        name[second..].find(needle).map(|at| at + second)
    };
    if depth == 0 {
        return from_second('[').map_or((name, ""), |start| name.split_at(start));
    }
    match (name.starts_with('['), from_second(']')) {
        (true, Some(end)) => (&name[1..end], &name[end + 1..]),
        _ => (name, ""),
    }
}
