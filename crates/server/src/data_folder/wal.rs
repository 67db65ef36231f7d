//! Damage in the middle of a write-ahead log of SQLite, which SQLite takes for its end.
//!
//! Each frame of the log continues the checksum of the one before. At the first that does not fit, SQLite stops and
//! drops the rest in silence: right for the torn end that a power cut leaves, and a silent loss where a byte in the
//! middle has rotted. The two can be told apart: a transaction is synced before the next one begins, so behind a torn
//! one there is no second commit of the same log.
//!
//! Nothing is repaired here. What is damaged in the very last transaction cannot be told from one that was never
//! acknowledged.

/// Bytes of the log's own head, and of each frame's.
const HEAD: usize = 32;
const FRAME_HEAD: usize = 24;
/// The first word; its last bit tells the order of bytes in checksums.
const MAGIC: u32 = 0x377f_0682;

/// Where in the log there is damage with acknowledged transactions behind it.
pub(super) fn damage(log: &[u8]) -> Option<u64> {
    let head = log.get(..HEAD)?;
    let is_big = word(head, 0) & 1 == 1;
    let page = word(head, 8) as usize;
    if word(head, 0) & !1 != MAGIC || !page.is_power_of_two() || !(512..=65_536).contains(&page) {
        return None;
    }
    let salt = &head[16..24];
    let mut sum = checksum(&head[..24], (0, 0), is_big);
    let mut at = 0;
    let mut commits_behind = 0;
    if sum == (word(head, 24), word(head, 28)) {
        at = HEAD;
        while let Some(frame) = log.get(at..at + FRAME_HEAD + page) {
            let next = checksum(&frame[FRAME_HEAD..], checksum(&frame[..8], sum, is_big), is_big);
            if &frame[8..16] != salt || next != (word(frame, 16), word(frame, 20)) {
                break;
            }
            sum = next;
            at += FRAME_HEAD + page;
        }
    }
    let mut behind = at.max(HEAD);
    while let Some(frame) = log.get(behind..behind + FRAME_HEAD + page) {
        let is_commit = word(frame, 4) != 0;
        commits_behind += u32::from(&frame[8..16] == salt && is_commit);
        behind += FRAME_HEAD + page;
    }
    (commits_behind >= 2).then_some(at as u64)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Of pairs of words, as SQLite's file format has it.
fn checksum(bytes: &[u8], from: (u32, u32), is_big: bool) -> (u32, u32) {
    let read = if is_big { u32::from_be_bytes } else { u32::from_le_bytes };
    bytes.chunks_exact(8).fold(from, |(a, b), pair| {
        let (x, y) = pair.split_at(4);
        let a = a.wrapping_add(read(x.try_into().expect("four bytes"))).wrapping_add(b);
        (a, b.wrapping_add(read(y.try_into().expect("four bytes"))).wrapping_add(a))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 512;

    /// A log of transactions, of so many frames each, and what of an older one it was written over.
    fn log(transactions: &[usize], older_frames: usize) -> Vec<u8> {
        let salt = [1, 2, 3, 4, 5, 6, 7, 8];
        let mut log = Vec::new();
        for word in [MAGIC, 3_007_000, PAGE as u32, 0] {
            log.extend(word.to_be_bytes());
        }
        log.extend(salt);
        let mut sum = checksum(&log, (0, 0), false);
        let put = |log: &mut Vec<u8>, sum: (u32, u32)| {
            log.extend(sum.0.to_be_bytes());
            log.extend(sum.1.to_be_bytes());
        };
        put(&mut log, sum);
        for frames in transactions {
            for frame in 1..=*frames {
                let head = [(frame as u32), if frame == *frames { 9 } else { 0 }];
                let head: Vec<u8> = head.into_iter().flat_map(u32::to_be_bytes).collect();
                let page = [frame as u8; PAGE];
                sum = checksum(&page, checksum(&head, sum, false), false);
                log.extend(head);
                log.extend(salt);
                put(&mut log, sum);
                log.extend(page);
            }
        }
        for _ in 0..older_frames {
            log.extend([0, 0, 0, 1, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9]);
            log.extend([7; 8 + PAGE]);
        }
        log
    }

    fn frame(index: usize) -> usize {
        HEAD + index * (FRAME_HEAD + PAGE)
    }

    #[test]
    fn a_whole_log_an_empty_one_and_one_over_an_older_one_are_sound() {
        assert_eq!(damage(&[]), None);
        assert_eq!(damage(&log(&[], 0)), None);
        assert_eq!(damage(&log(&[1, 3, 2], 0)), None);
        assert_eq!(damage(&log(&[1, 3, 2], 5)), None);
    }

    #[test]
    fn a_torn_last_transaction_is_what_a_power_cut_leaves() {
        let whole = log(&[2, 3], 4);
        for at in [frame(2) + 3, frame(3) + 100, frame(4) + 20] {
            let mut torn = whole.clone();
            torn[at] ^= 1;
            assert_eq!(damage(&torn), None, "{at}");
        }
        assert_eq!(damage(&whole[..frame(4) + 77]), None);
    }

    #[test]
    fn a_rotten_byte_with_acknowledged_transactions_behind_it_is_damage_at_its_frame() {
        for (at, from) in [(frame(1) + 100, 1), (frame(1) + 9, 1), (frame(2) + 17, 2)] {
            let mut rotten = log(&[1, 2, 1, 1], 3);
            rotten[at] ^= 1;
            assert_eq!(damage(&rotten), Some(frame(from) as u64), "{at}");
        }
        let mut rotten = log(&[1, 1, 1], 0);
        rotten[13] ^= 1;
        assert_eq!(damage(&rotten), Some(0), "the head itself");
    }
}
