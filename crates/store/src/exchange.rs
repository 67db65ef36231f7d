//! How an exchange lies inside its sealed column: format 1, each part with its length before it. Bodies are
//! bytes, so JSON would make them a third larger.

use crate::attempt::Exchange;

const FORMAT: u8 = 1;

/// Bytes that are no exchange.
#[derive(Debug, thiserror::Error)]
#[error("the stored exchange is cut short, or no text")]
pub(crate) struct NoExchange;

pub(crate) fn write(exchange: &Exchange) -> Vec<u8> {
    let size = exchange.request_body.len() + exchange.response_body.len() + 1_024;
    let mut bytes = Vec::with_capacity(size);
    bytes.push(FORMAT);
    put(&mut bytes, exchange.request_line.as_bytes());
    put_headers(&mut bytes, &exchange.request_headers);
    put(&mut bytes, &exchange.request_body);
    put_headers(&mut bytes, &exchange.response_headers);
    put(&mut bytes, &exchange.response_body);
    bytes.push(u8::from(exchange.response_cut));
    bytes
}

pub(crate) fn read(bytes: &[u8]) -> Result<Exchange, NoExchange> {
    let mut rest = bytes;
    if byte(&mut rest)? != FORMAT {
        return Err(NoExchange);
    }
    Ok(Exchange {
        request_line: text(&mut rest)?.into(),
        request_headers: headers(&mut rest)?,
        request_body: part(&mut rest)?.to_vec(),
        response_headers: headers(&mut rest)?,
        response_body: part(&mut rest)?.to_vec(),
        response_cut: byte(&mut rest)? != 0,
    })
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    let length = u32::try_from(part.len()).expect("a body is bounded far below 4 GiB");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(part);
}

fn put_headers(bytes: &mut Vec<u8>, headers: &[(String, String)]) {
    let count = u32::try_from(headers.len()).expect("headers are few");
    bytes.extend_from_slice(&count.to_le_bytes());
    for (name, value) in headers {
        put(bytes, name.as_bytes());
        put(bytes, value.as_bytes());
    }
}

fn byte(rest: &mut &[u8]) -> Result<u8, NoExchange> {
    let (first, after) = rest.split_first().ok_or(NoExchange)?;
    *rest = after;
    Ok(*first)
}

fn number(rest: &mut &[u8]) -> Result<usize, NoExchange> {
    let (number, after) = rest.split_first_chunk().ok_or(NoExchange)?;
    *rest = after;
    Ok(u32::from_le_bytes(*number) as usize)
}

fn part<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], NoExchange> {
    let length = number(rest)?;
    let (part, after) = rest.split_at_checked(length).ok_or(NoExchange)?;
    *rest = after;
    Ok(part)
}

fn text<'a>(rest: &mut &'a [u8]) -> Result<&'a str, NoExchange> {
    std::str::from_utf8(part(rest)?).map_err(|_| NoExchange)
}

fn headers(rest: &mut &[u8]) -> Result<Vec<(String, String)>, NoExchange> {
    let count = number(rest)?;
    let mut headers = Vec::new();
    for _ in 0..count {
        headers.push((text(rest)?.to_owned(), text(rest)?.to_owned()));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_exchange_reads_back_the_same(
            line in ".*", headers in prop::collection::vec((".*", ".*"), 0..4),
            body in prop::collection::vec(any::<u8>(), 0..100), cut: bool,
        ) {
            let exchange = Exchange {
                request_line: line.into(),
                request_headers: headers.clone(),
                request_body: body.clone(),
                response_headers: headers,
                response_body: body,
                response_cut: cut,
            };
            let bytes = write(&exchange);
            prop_assert_eq!(read(&bytes).unwrap(), exchange);
            for cut in 0..bytes.len() {
                prop_assert!(read(&bytes[..cut]).is_err());
            }
        }

        #[test]
        fn hostile_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
