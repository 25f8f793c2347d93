//! The recording: a stereo WAV with byte ranges, and its peaks. Rendered from the tracks, never stored.

use std::{ops::Range, path::PathBuf};

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE},
    },
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Api, auth::Caller, errors::Problem, interactions};
use crate::{
    ids::InteractionId,
    service::{
        clock,
        recorder::{
            gaps::{self, PartyGap},
            paths,
            peaks::{self, BUCKET_MS},
            render::Rendering,
            track,
        },
        store::{AuditAction, GapKind, RecordingGap},
    },
};

/// Largest piece that one request is answered with: 30 s of stereo. Players ask for the next.
const PIECE: u64 = 960_000;
/// Most gaps of a page; a call that lost more shows the longest.
const GAPS: usize = 1_000;

pub(super) async fn wav(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<InteractionId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    interactions::may_hear(&api, &caller, id).await?;
    let asked = headers.get(RANGE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let from_start = asked.as_deref().is_none_or(|range| range.starts_with("bytes=0-"));
    if from_start {
        api.store.audit(caller.me.agent, AuditAction::PlayRecording, ("interaction", id.to_string()), clock::now().wall).await?;
    }
    blocking(move || answer(&api, id, asked.as_deref())).await
}

fn answer(api: &Api, id: InteractionId, asked: Option<&str>) -> Result<Response, Problem> {
    let rendering = Rendering::open(&tracks(api, id)?).map_err(unreadable)?;
    let total = rendering.len();
    let range = match asked {
        Some(asked) => parse_range(asked, total).ok_or_else(Problem::range)?,
        None => 0..total,
    };
    let mut bytes = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let piece = usize::try_from(range.end - at).unwrap_or(usize::MAX);
        let piece = rendering.read_range(at, piece).map_err(unreadable)?;
        if piece.is_empty() {
            break;
        }
        at += piece.len() as u64;
        bytes.extend(piece);
    }
    let kind = [(CONTENT_TYPE, "audio/wav"), (ACCEPT_RANGES, "bytes"), (CACHE_CONTROL, "private, no-store")];
    let length = [(CONTENT_LENGTH, bytes.len().to_string())];
    if asked.is_none() {
        return Ok((kind, length, Body::from(bytes)).into_response());
    }
    let place = [(CONTENT_RANGE, format!("bytes {}-{}/{total}", range.start, range.end.saturating_sub(1)))];
    Ok((StatusCode::PARTIAL_CONTENT, kind, place, length, Body::from(bytes)).into_response())
}

fn unreadable(error: impl std::fmt::Display) -> Problem {
    tracing::warn!(%error, "a recording cannot be read");
    Problem::unavailable("The recording cannot be read just now. Check the disk of the recordings; try again.")
}

/// Reads `bytes=a-b`, `bytes=a-` or `bytes=-n` (RFC 9110 §14.1.2), one range, cut to a piece.
fn parse_range(text: &str, total: u64) -> Option<Range<u64>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..(last + 1).min(total),
        (Ok(first), Err(_)) if last.trim().is_empty() => first..total,
        (Err(_), Ok(n)) if first.trim().is_empty() && n > 0 => total.saturating_sub(n)..total,
        (Ok(_) | Err(_), Ok(_) | Err(_)) => return None,
    };
    (range.start < total).then(|| range.start..range.end.min(range.start + PIECE))
}

pub(super) async fn peaks(State(api): State<Api>, caller: Caller, Path(id): Path<InteractionId>) -> Result<Json<Value>, Problem> {
    interactions::may_hear(&api, &caller, id).await?;
    blocking(move || {
        let wave = peaks::waveform(&tracks(&api, id)?, 0).map_err(unreadable)?;
        Ok(Json(json!({"bucket_ms": BUCKET_MS, "duration_ms": wave.duration_ms, "customer": wave.customer, "agent": wave.agent})))
    })
    .await
}

/// Where the tracks hold no audio. A page without them is better than none, so trouble is only logged.
pub(super) async fn gaps(api: &Api, id: InteractionId) -> Vec<RecordingGap> {
    let api = api.clone();
    let read = blocking(move || gaps::of_call(&tracks(&api, id)?, GAPS).map_err(unreadable)).await;
    read.unwrap_or_default().into_iter().filter_map(shown).collect()
}

fn shown(gap: PartyGap) -> Option<RecordingGap> {
    let kind = match gap.kind {
        track::GapKind::Lost | track::GapKind::Unwritten => GapKind::Lost,
        track::GapKind::Paused => GapKind::Paused,
        track::GapKind::Redacted => GapKind::Redacted,
        track::GapKind::Silence => return None,
    };
    Some(RecordingGap { party: gap.party, kind, from_ms: gap.from_ms, to_ms: gap.to_ms })
}

fn tracks(api: &Api, id: InteractionId) -> Result<Vec<PathBuf>, Problem> {
    let tracks = paths::tracks_of(&api.recordings, id).map_err(unreadable)?;
    if tracks.is_empty() { Err(Problem::not_found()) } else { Ok(tracks) }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Problem::unavailable("The recording cannot be read just now. Try again."))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says_and_cut_to_a_piece() {
        assert_eq!(parse_range("bytes=0-99", 1_000), Some(0..100));
        assert_eq!(parse_range("bytes=900-", 1_000), Some(900..1_000));
        assert_eq!(parse_range("bytes=-10", 1_000), Some(990..1_000));
        assert_eq!(parse_range("bytes=0-", 10 * PIECE), Some(0..PIECE));
        assert_eq!(parse_range("bytes=10-5000", 1_000), Some(10..1_000));
        for bad in ["bytes=1000-", "bytes=9-3", "bytes=-0", "bytes=-", "bytes=a-b", "items=0-1", ""] {
            assert_eq!(parse_range(bad, 1_000), None, "{bad}");
        }
    }
}
