"""Statistics of simulated listening histories beside real ones: `python -m include.demo.history_statistics`.

Prints a table for the simulated listeners (the demo's and some invented ones), and with files for real listeners too
(`make lifelike FILES='a.zip b.zip'`: account data or extended streaming history, one listener each). It marks what is
outside the ranges of real listeners in `REAL`.

Everything is measured on what account data hold: the last year, names, lengths, and ends to the minute. So simulated
and real histories are measured alike; only the hours of simulated ones are those of the listener's own clock.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from include.demo.catalog import Track
from include.demo.listeners import DEMO_LISTENERS, invent_listener
from include.demo.listening_history import History, build_history

UNTIL = datetime(2026, 10, 26, 4, tzinfo=UTC)
FIRST_DAY = date(2024, 10, 1)
INVENTED = (7, 8, 801, 802, 803)
DAY_S = 86_400
SESSION_GAP_S = 30 * 60
SETTLED_DAYS = 90  # before that nearly every track is a first listen
# Minimum, quartiles and maximum of thirteen public listening histories, 2026-11: eleven of a year or nearly, two of
# five and six months whose lengths are guessed and left out where they matter.
REAL: dict[str, tuple[float, float, float, float, float]] = {
    "plays a day": (14.961, 33.170, 44.508, 63.857, 84.153),
    "days without plays": (0.000, 0.030, 0.090, 0.231, 0.347),
    "variation of active days": (0.348, 0.641, 0.827, 0.941, 1.442),
    "plays under 30 s": (0.101, 0.155, 0.260, 0.315, 0.440),
    "hours: quietest six": (0.000, 0.026, 0.036, 0.041, 0.114),
    "hours: next six": (0.216, 0.274, 0.316, 0.442, 0.490),
    "hours: six after those": (0.226, 0.284, 0.371, 0.418, 0.646),
    "hours: last six": (0.030, 0.217, 0.249, 0.274, 0.427),
    "hours: busiest six": (0.388, 0.421, 0.428, 0.464, 0.838),
    "hours: entropy (bits)": (3.210, 4.098, 4.194, 4.275, 4.380),
    "gaps of 2 minutes and more": (0.055, 0.104, 0.131, 0.177, 0.220),
    "gaps: 95th percentile (minutes)": (2.550, 34.175, 63.962, 112.475, 570.480),
    "gaps: 99th percentile (hours)": (7.459, 10.171, 15.193, 19.432, 41.989),
    "sessions an active day": (1.778, 2.246, 3.054, 4.231, 5.730),
    "session plays: 25% quantile": (2.000, 2.000, 3.000, 4.000, 11.000),
    "session plays: 50% quantile": (5.000, 6.000, 9.000, 10.000, 34.000),
    "session plays: 75% quantile": (12.000, 15.000, 19.000, 25.000, 56.250),
    "session plays: 90% quantile": (21.200, 31.000, 38.100, 44.000, 75.000),
    "session minutes: 25% quantile": (2.569, 4.430, 8.391, 13.023, 47.850),
    "session minutes: 50% quantile": (13.908, 24.066, 29.000, 36.070, 145.425),
    "session minutes: 75% quantile": (34.700, 54.536, 60.174, 82.871, 251.971),
    "session minutes: 90% quantile": (55.115, 99.233, 128.284, 145.040, 318.430),
    "sessions of one play": (0.041, 0.136, 0.144, 0.217, 0.249),
    "repeats in the session": (0.032, 0.048, 0.095, 0.151, 0.183),
    "repeats of the play before": (0.007, 0.026, 0.035, 0.037, 0.090),
    "repeats within a day": (0.061, 0.182, 0.223, 0.299, 0.467),
    "first listens": (0.115, 0.150, 0.244, 0.388, 0.452),
    "tracks played once": (0.350, 0.523, 0.570, 0.588, 0.628),
    "plays of the top 10 % of tracks": (0.331, 0.403, 0.472, 0.564, 0.703),
    "plays of the top 10 artists": (0.149, 0.245, 0.307, 0.335, 0.673),
    "artists, effective number": (9.739, 43.895, 63.712, 124.217, 214.912),
    "return after 1 days": (0.034, 0.095, 0.129, 0.171, 0.261),
    "return after 7 days": (0.023, 0.029, 0.068, 0.137, 0.192),
    "return after 30 days": (0.006, 0.018, 0.036, 0.081, 0.129),
    "return after 90 days": (0.006, 0.012, 0.024, 0.046, 0.095),
    "return: slope": (-0.709, -0.482, -0.387, -0.244, -0.038),
}
RETURN_AFTER_DAYS = {1: (1, 1), 7: (6, 8), 30: (27, 33), 90: (81, 99)}


class _Row(NamedTuple):
    ended_s: int
    ms_played: int
    artist: str
    title: str
    ahead_s: float = 0.0  # of the listener's clock, from UTC


class MusicPlays(NamedTuple):
    """One listener's music plays in order of their ends. Unix seconds, ms; `tracks` and `artists` are numbers."""

    name: str
    ended_s: np.ndarray
    ms_played: np.ndarray
    tracks: np.ndarray
    artists: np.ndarray
    hours: np.ndarray  # of a clock that is the listener's own, or a fixed number of hours away from it
    lengths_known: bool = True

    @classmethod
    def of_rows(cls, name: str, rows: Iterable[_Row], *, lengths_known: bool = True) -> MusicPlays:
        """Keeps the last year of music."""
        ordered = sorted(rows, key=lambda row: row.ended_s)
        ordered = [row for row in ordered if row.ended_s > ordered[-1].ended_s - 365 * DAY_S]
        track_numbers: dict[tuple[str, str], int] = {}
        artist_numbers: dict[str, int] = {}
        return cls(
            name,
            np.array([row.ended_s // 60 * 60 for row in ordered]),
            np.array([row.ms_played for row in ordered]),
            np.array([track_numbers.setdefault((row.artist, row.title), len(track_numbers)) for row in ordered]),
            np.array([artist_numbers.setdefault(row.artist, len(artist_numbers)) for row in ordered]),
            np.array([int(row.ended_s + row.ahead_s) // 3600 % 24 for row in ordered]),
            lengths_known,
        )

    @classmethod
    def of_history(cls, history: History) -> MusicPlays:
        ahead = [
            _ahead_s(history.plays[session.first_play].started_ms // 1000, session.time_zone)
            for session in history.sessions
        ]
        return cls.of_rows(
            history.listener.user_id,
            (
                _Row(play.ended_ms // 1000, play.ms_played, play.item.artist.name, play.item.name, ahead[play.session])
                for play in history.plays
                if isinstance(play.item, Track)
            ),
        )

    @classmethod
    def of_file(cls, path: Path) -> MusicPlays:
        """Account data or extended streaming history, a zip or one JSON file.

        :raises ValueError: no music in it.
        """
        rows = [row for document in _documents(path) for row in document]
        music = [_account_row(row) for row in rows if row.get("trackName")]
        music += [_extended_row(row) for row in rows if row.get("master_metadata_track_name")]
        if not music:
            raise ValueError(f"no music in {path}")
        # Scrobbles made into account data have guessed lengths: no real year is without a single short play.
        return cls.of_rows(path.stem, music, lengths_known=any(row.ms_played < 30_000 for row in music))


def _documents(path: Path) -> Iterable[list[dict[str, Any]]]:
    if path.suffix != ".zip":
        yield json.loads(path.read_bytes())
        return
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            stem = name.rsplit("/", 1)[-1]
            if stem.endswith(".json") and stem.startswith(("StreamingHistory", "Streaming_History", "endsong")):
                yield json.loads(archive.read(name))


def _ahead_s(moment_s: int, time_zone: str) -> float:
    offset = datetime.fromtimestamp(moment_s, ZoneInfo(time_zone)).utcoffset()
    return offset.total_seconds() if offset else 0.0


def _account_row(row: dict[str, Any]) -> _Row:
    ended = datetime.strptime(row["endTime"], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    return _Row(int(ended.timestamp()), row["msPlayed"], row["artistName"], row["trackName"])


def _extended_row(row: dict[str, Any]) -> _Row:
    ended_s = int(datetime.fromisoformat(row["ts"]).timestamp())
    artist, title = row["master_metadata_album_artist_name"], row["master_metadata_track_name"]
    return _Row(ended_s, row.get("ms_played") or 0, artist, title)


def statistics(history: MusicPlays) -> dict[str, float]:
    """Every statistic by its name. Those that need true lengths are nan where lengths were guessed."""
    measured = {
        **_days(history),
        **_hours(history),
        **_sessions(history),
        **_tracks(history),
        **_returns(history),
    }
    return {name: float(value) for name, value in measured.items()}


def _days(history: MusicPlays) -> dict[str, float]:
    days = history.ended_s // DAY_S
    plays = np.bincount(days - days[0])
    active = plays[plays > 0]
    return {
        "plays a day": len(days) / len(plays),
        "days without plays": 1 - len(active) / len(plays),
        "variation of active days": active.std() / active.mean(),
        "plays under 30 s": (history.ms_played < 30_000).mean() if history.lengths_known else np.nan,
    }


def _hours(history: MusicPlays) -> dict[str, float]:
    """Hours are counted from the end of the quietest six: exports do not contain the listener's time zone."""
    shares = np.bincount(history.hours, minlength=24) / len(history.hours)
    sixes = [np.roll(shares, -hour)[:6].sum() for hour in range(24)]
    quiet, morning, afternoon, evening = np.roll(shares, -int(np.argmin(sixes))).reshape(4, 6).sum(axis=1)
    used = shares[shares > 0]
    return {
        "hours: quietest six": quiet,
        "hours: next six": morning,
        "hours: six after those": afternoon,
        "hours: last six": evening,
        "hours: busiest six": max(sixes),
        "hours: entropy (bits)": -(used * np.log2(used)).sum(),
    }


def _sessions(history: MusicPlays) -> dict[str, float]:
    started_s = history.ended_s - history.ms_played / 1000
    gaps_s = started_s[1:] - history.ended_s[:-1]
    first = np.flatnonzero(np.concatenate([[True], gaps_s >= SESSION_GAP_S]))
    plays = np.diff(np.append(first, len(history.ended_s)))
    last = first + plays - 1
    minutes = (history.ended_s[last] - started_s[first]) / 60
    in_session = 0
    tracks = history.tracks.tolist()
    for start, size in zip(first.tolist(), plays.tolist(), strict=True):
        in_session += size - len(set(tracks[start : start + size]))
    active_days = len(np.unique(history.ended_s // DAY_S))
    measured = {
        "gaps of 2 minutes and more": (gaps_s >= 120).mean(),
        "gaps: 95th percentile (minutes)": np.quantile(gaps_s, 0.95) / 60,
        "gaps: 99th percentile (hours)": np.quantile(gaps_s, 0.99) / 3600,
        "sessions an active day": len(first) / active_days,
        **{f"session plays: {q:.0%} quantile": np.quantile(plays, q) for q in (0.25, 0.5, 0.75, 0.9)},
        **{f"session minutes: {q:.0%} quantile": np.quantile(minutes, q) for q in (0.25, 0.5, 0.75, 0.9)},
        "sessions of one play": (plays == 1).mean(),
        "repeats in the session": in_session / len(tracks),
        "repeats of the play before": (history.tracks[1:] == history.tracks[:-1]).mean(),
    }
    return measured


def _tracks(history: MusicPlays) -> dict[str, float]:
    last_end: dict[int, int] = {}
    within_day = first_listens = settled = 0
    settled_from = history.ended_s[0] + SETTLED_DAYS * DAY_S
    for track, ended in zip(history.tracks.tolist(), history.ended_s.tolist(), strict=True):
        before = last_end.get(track)
        within_day += before is not None and ended - before < DAY_S
        if ended >= settled_from:
            settled += 1
            first_listens += before is None
        last_end[track] = ended
    plays_of_tracks = np.bincount(history.tracks)
    artist_shares = np.sort(np.bincount(history.artists) / len(history.artists))[::-1]
    return {
        "repeats within a day": within_day / len(history.tracks),
        "first listens": first_listens / settled,
        "tracks played once": (plays_of_tracks == 1).mean(),
        "plays of the top 10 % of tracks": np.sort(plays_of_tracks)[::-1][: len(plays_of_tracks) // 10].sum()
        / len(history.tracks),
        "plays of the top 10 artists": artist_shares[:10].sum(),
        "artists, effective number": 1 / (artist_shares**2).sum(),
    }


def _returns(history: MusicPlays) -> dict[str, float]:
    """How likely a track heard on a day is heard on the day 1, about 7, 30 and 90 days later, and the decay's slope."""
    days = history.ended_s // DAY_S
    last_day = int(days[-1])
    heard = set(zip(history.tracks.tolist(), days.tolist(), strict=True))
    likely = {}
    for lag, (low, high) in RETURN_AFTER_DAYS.items():
        asked = [(track, day) for track, day in heard if day + high <= last_day]
        again = sum((track, day + later) in heard for track, day in asked for later in range(low, high + 1))
        likely[lag] = again / (len(asked) * (high - low + 1))
    slope = np.polyfit(np.log(list(likely)), np.log(list(likely.values())), 1)[0] if all(likely.values()) else np.nan
    return {**{f"return after {lag} days": value for lag, value in likely.items()}, "return: slope": slope}


def outside(measured: dict[str, float]) -> dict[str, float]:
    """Those of the statistics that no real listener has."""
    return {name: value for name, value in measured.items() if not REAL[name][0] <= value <= REAL[name][-1]}


def table(columns: dict[str, dict[str, float]]) -> str:
    """A line a statistic: the real range, then each listener; what lies outside the range is marked."""
    names = ("min", "25 %", "median", "75 %", "max", *columns)
    lines = [f"{'':33}" + "".join(f"{name[:9]:>10}" for name in names)]
    for name, real in REAL.items():
        cells = [f"{value:9.3f} " for value in real]
        for measured in columns.values():
            mark = "*" if name in outside({name: measured[name]}) else " "
            cells.append(f"{measured[name]:9.3f}{mark}")
        lines.append(f"{name:33}" + "".join(cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Statistics of simulated listening histories beside real ones.")
    parser.add_argument("files", nargs="*", type=Path, help="account data or extended history of one listener each")
    parser.add_argument("--seeds", type=int, nargs="*", default=INVENTED, help="invented listeners")
    options = parser.parse_args()
    invented = [invent_listener(f"invented {seed}", seed, first_day=FIRST_DAY) for seed in options.seeds]
    known = [listener for listener in DEMO_LISTENERS if listener.has_export]
    simulated = {
        listener.user_id: statistics(MusicPlays.of_history(build_history(listener, until=UNTIL)))
        for listener in [*known, *invented]
    }
    real = {path.stem: statistics(MusicPlays.of_file(path)) for path in options.files}
    print("Real range, simulated listeners" + (", files" if real else "") + " (*: outside the real range)\n")
    print(table(simulated | real))
    strange = sum(len(outside(measured)) for measured in simulated.values())
    print(f"\n{strange} of {len(simulated) * len(REAL)} figures of the simulated listeners are outside the real range")


if __name__ == "__main__":
    main()
