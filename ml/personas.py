"""Names for a listener's session clusters: `staging.personas`.

A persona is named after what sets its sessions apart from all the listener's sessions: when they happen, how long they
last, what is played. A name stays as long as the persona bears it out, with some slack; why a name was given or
changed is stored with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Json

from ml.tables import Work, fetch, listener_of, replace_rows, take_work

RECENT_DAYS = 28
# A name once given needs only this share of the difference that earned it.
SLACK = 0.5

Profile = Mapping[str, Any]


@dataclass(frozen=True)
class Clause:
    """One thing a name claims: the measure is at least `limit` and exceeds that of all sessions by `beyond` (or,
    `below`, is at most and falls short). Measures are columns of persona_profiles; minutes and unique_artists compare
    as ratios."""

    measure: str
    limit: float
    beyond: float
    below: bool = False

    def difference(self, profile: Profile, overall: Profile) -> float:
        """Signed difference to all sessions, positive in the clause's direction."""
        value, usual = profile[self.measure], overall[self.measure]
        difference = value / max(usual, 0.1) - 1 if self.measure in ("minutes", "unique_artists") else value - usual
        return -difference if self.below else difference

    def holds(self, profile: Profile, overall: Profile, slack: float = 1.0) -> bool:
        """:param slack: 1 to earn the name; less to keep it."""
        value = profile[self.measure]
        if value is None or overall[self.measure] is None:
            return False
        limit = self.limit * (2 - slack) if self.below else self.limit * slack
        reached = value <= limit if self.below else value >= limit
        return reached and self.difference(profile, overall) >= self.beyond * slack


@dataclass(frozen=True)
class Word:
    """Part of a name, and the clauses that must all hold for it. The first clause ranks it."""

    text: str
    clauses: tuple[Clause, ...]

    def holds(self, profile: Profile, overall: Profile, slack: float = 1.0) -> bool:
        return all(clause.holds(profile, overall, slack) for clause in self.clauses)

    def distinctness(self, profile: Profile, overall: Profile) -> float:
        first = self.clauses[0]
        return round(first.difference(profile, overall) / SPREADS[first.measure], 3)


# A difference this large is as telling in one measure as in another.
SPREADS = {
    "album": 0.25, "discovery": 0.2, "repeat": 0.2, "shuffle": 0.4, "skip": 0.2, "minutes": 1.0, "unique_artists": 1.0,
    "weekend": 0.35, "night": 0.4, "morning": 0.4, "midday": 0.4, "afternoon": 0.4, "evening": 0.4,
}  # fmt: skip

TIMES = (
    Word("Weekend", (Clause("weekend", 0.65, 0.2),)),
    Word("Late-night", (Clause("night", 0.5, 0.1),)),
    Word("Morning", (Clause("morning", 0.5, 0.1),)),
    Word("Midday", (Clause("midday", 0.5, 0.1),)),
    Word("Afternoon", (Clause("afternoon", 0.5, 0.1),)),
    Word("Evening", (Clause("evening", 0.5, 0.1),)),
    Word("Weekday", (Clause("weekend", 0.1, 0.1, below=True),)),
)
NOUNS = (
    Word(
        "commute",
        (Clause("morning", 0.5, 0.1), Clause("weekend", 0.2, 0.0, below=True), Clause("minutes", 60, 0.0, below=True)),
    ),
    Word(
        "focus",
        (
            Clause("minutes", 75, 0.3),
            Clause("weekend", 0.2, 0.0, below=True),
            Clause("discovery", 0.15, 0.0, below=True),
        ),
    ),
    Word("album listener", (Clause("album", 0.35, 0.15),)),
    Word("discoveries", (Clause("discovery", 0.15, 0.06),)),
    Word("explorer", (Clause("unique_artists", 10, 0.5), Clause("shuffle", 0.5, 0.0, below=True))),
    Word("party mix", (Clause("unique_artists", 12, 0.5), Clause("shuffle", 0.5, 0.0))),
    Word("deep dive", (Clause("minutes", 75, 0.4), Clause("shuffle", 0.3, 0.0, below=True))),
    Word("repeat", (Clause("repeat", 0.12, 0.08),)),
    Word("shuffle", (Clause("shuffle", 0.5, 0.2),)),
    Word("long play", (Clause("minutes", 60, 0.5),)),
    Word("favourites", (Clause("discovery", 0.06, 0.04, below=True),)),
    Word("interlude", (Clause("minutes", 40, 0.25, below=True),)),
)
WORDS = {word.text: word for word in (*TIMES, *NOUNS)}
PLAIN = "listening"

# How each measure is said: of the persona's value and of all sessions'.
PHRASES = {
    "night": "{value} start between 22:00 and 5:00 (all your sessions: {usual})",
    "morning": "{value} start between 5:00 and 10:00 (all your sessions: {usual})",
    "midday": "{value} start between 10:00 and 14:00 (all your sessions: {usual})",
    "afternoon": "{value} start between 14:00 and 18:00 (all your sessions: {usual})",
    "evening": "{value} start between 18:00 and 22:00 (all your sessions: {usual})",
    "weekend": "{value} fall on a weekend (all your sessions: {usual})",
    "minutes": "half of them play at least {value} minutes (all your sessions: {usual})",
    "unique_artists": "half of them have at least {value} artists (all your sessions: {usual})",
    "discovery": "on average {value} of a session's plays are first listens (all your sessions: {usual})",
    "repeat": "on average {value} of a session's plays repeat a track of the same session (all your sessions: {usual})",
    "album": "on average {value} of a session's plays follow another track of the same album"
     " (all your sessions: {usual})",
    "shuffle": "on average {value} of a session's plays are shuffled (all your sessions: {usual})",
    "skip": "on average {value} of a session's plays are skipped (all your sessions: {usual})",
}  # fmt: skip
SUMMARIES = {
    "night": "late at night", "morning": "in the morning", "midday": "around noon", "afternoon": "in the afternoon",
    "evening": "in the evening", "weekend": "mostly at weekends",
}  # fmt: skip


def say(measure: str, value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:.0f}" if measure in ("minutes", "unique_artists") else f"{100 * value:.0f} %"


def possible_names(profile: Profile, overall: Profile) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Labels the profile bears out, the most telling first, each with the words it is made of; endless."""
    times = [word for word in TIMES if word.holds(profile, overall)]
    nouns = [word for word in NOUNS if word.holds(profile, overall)]
    times.sort(key=lambda word: -word.distinctness(profile, overall))
    ranked = [word for word in nouns if word.text in ("commute", "focus")]
    ranked += sorted(
        (word for word in nouns if word not in ranked), key=lambda word: -word.distinctness(profile, overall)
    )
    for noun in ranked:
        for time in times:
            if noun.text != "commute" or time.text == "Morning":
                yield f"{time.text} {noun.text}", (time.text, noun.text)
        yield noun.text.capitalize(), (noun.text,)
    for time in times:
        yield f"{time.text} {PLAIN}", (time.text,)
    yield f"Everyday {PLAIN}", ()
    number = 2
    while True:
        yield f"Everyday {PLAIN} {number}", ()
        number += 1


def choose_names(
    profiles: Mapping[int, Profile], overall: Profile, named: Mapping[int, tuple[str, Sequence[str]]]
) -> dict[int, tuple[str, tuple[str, ...], str]]:
    """A label for each persona, unique, kept where it still holds.

    :param profiles: persona id → row of persona_profiles; `overall` the row over all sessions.
    :param named: persona id → label so far and its words.
    :return: persona id → label, words, and why it has or keeps that label.
    """
    result: dict[int, tuple[str, tuple[str, ...], str]] = {}
    broken: dict[int, str] = {}
    for persona_id, (label, words) in named.items():
        if persona_id not in profiles:
            continue
        profile = profiles[persona_id]
        failed = [
            clause
            for word in words
            for clause in WORDS[word].clauses
            if not clause.holds(profile, overall, slack=SLACK)
        ]
        if not failed and words:
            result[persona_id] = (label, tuple(words), "")
        elif not words and next(possible_names(profile, overall))[1] == ():
            result[persona_id] = (label, (), "")
        elif failed:
            said = PHRASES[failed[0].measure].format(
                value=say(failed[0].measure, profile[failed[0].measure]),
                usual=say(failed[0].measure, overall[failed[0].measure]),
            )
            broken[persona_id] = f"“{label}” no longer fits: {said}"
        else:
            broken[persona_id] = f"“{label}” said little, and more is known now"
    taken = {label for label, _, _ in result.values()}
    # The persona whose best name is the most telling chooses first.
    unnamed = sorted(
        (persona_id for persona_id in profiles if persona_id not in result),
        key=lambda p: (-telling(profiles[p], overall), p),
    )
    for persona_id in unnamed:
        label, words = next(
            (label, words) for label, words in possible_names(profiles[persona_id], overall) if label not in taken
        )
        taken.add(label)
        result[persona_id] = (label, words, broken.get(persona_id, "first name of this persona"))
    return result


def telling(profile: Profile, overall: Profile) -> float:
    words = next(possible_names(profile, overall))[1]
    return max((WORDS[word].distinctness(profile, overall) for word in words), default=0.0)


def explain(profile: Profile, overall: Profile, words: Sequence[str], is_only: bool) -> str:
    """Why the persona has its name, every number a column of persona_profiles."""
    sessions, share = profile["sessions"], 100 * profile["ms_played"] / max(overall["ms_played"], 1)
    noun = "session" if sessions == 1 else "sessions"
    start = f"{sessions} {noun}, {share:.0f} % of the time you listened"
    measures = list(dict.fromkeys(clause.measure for word in words for clause in WORDS[word].clauses))
    if is_only or not measures:
        return f"{start}: half of them play at least {say('minutes', profile['minutes'])} minutes."
    phrases = [
        PHRASES[m].format(value=say(m, profile[m]), usual=say(m, overall[m]))
        for m in measures
        if profile[m] is not None
    ]
    return f"{start}: {'; '.join(phrases)}."


def describe(profile: Profile) -> str:
    """A line in words: how long, when, how varied."""
    length = "Long" if profile["minutes"] >= 75 else "Short" if profile["minutes"] <= 35 else "Medium"
    span = max(("night", "morning", "midday", "afternoon", "evening"), key=lambda m: profile[m])
    parts = [f"{length} sessions", SUMMARIES[span] if profile[span] >= 0.4 else "at any hour"]
    if profile["weekend"] >= 0.65:
        parts.append(SUMMARIES["weekend"])
    if profile["album"] >= 0.35:
        parts.append("albums heard through")
    if profile["discovery"] >= 0.2:
        parts.append("much of it new")
    if (profile["shuffle"] or 0) >= 0.5:
        parts.append("shuffled")
    if profile["repeat"] >= 0.15:
        parts.append("the same tracks again")
    return f"{' '.join(parts[:2])}{''.join(f', {part}' for part in parts[2:])}"


def label_personas(connection: psycopg.Connection, *, as_of: datetime) -> dict[str, int]:
    """Profile and name the personas of every listener whose sessions were clustered anew; commits.

    `labelled_on` is the local day on which the present name was given. Personas that the listener's model no longer
    has stay, inactive, so that history keeps its names.

    :return: `listeners`, `personas` that are active, `renamed`, rows `written`.
    """
    summary = {"listeners": 0, "personas": 0, "renamed": 0, "written": 0}
    with connection.transaction():
        for work in take_work(connection, "personas", as_of):
            with listener_of(connection, "personas", work):
                rows = persona_rows(connection, work)
                counts = replace_rows(
                    connection, "personas", ["user_id", "persona_id"], COLUMNS, rows, {"user_id": work.user_id}
                )
                summary["listeners"] += 1
                summary["personas"] += sum(row[COLUMNS.index("is_active")] for row in rows)
                summary["renamed"] += sum(
                    row[COLUMNS.index("labelled_on")] == work.reference_day
                    and row[COLUMNS.index("previous_label")] is not None
                    for row in rows
                )
                summary["written"] += counts["written"]
    connection.commit()
    return summary


COLUMNS = (
    "user_id", "persona_id", "label", "description", "explanation", "traits", "is_active", "sessions",
    "share_of_sessions",
    "share_of_time", "recent_share_of_time", "model_version", "labelled_on", "previous_label", "label_reason",
)  # fmt: skip


def persona_rows(connection: psycopg.Connection, work: Work) -> list[tuple]:
    parameters = {"user_id": work.user_id, "recent_after": work.reference_day - timedelta(days=RECENT_DAYS)}
    by_persona = {}
    for row in fetch(connection, "persona_profiles", parameters):
        by_persona[row["persona_id"]] = {
            name: float(value)
            if name not in ("persona_id", "sessions", "ms_played", "recent_ms_played") and value is not None
            else value
            for name, value in row.items()
        }  # fmt: skip
    overall = by_persona.pop(None, None)
    if not by_persona or overall is None:
        return []
    [(model_version,)] = connection.execute(
        "select version from staging.clustering_models where user_id = %s and is_current", [work.user_id]
    ).fetchall()
    old = {
        row[0]: row
        for row in connection.execute(
            "select persona_id, label, traits, labelled_on, previous_label, label_reason, description, explanation,"
            " model_version from staging.personas where user_id = %s",
            [work.user_id],
        )
    }
    names = choose_names(
        by_persona, overall, {p: (row[1], row[2]["words"]) for p, row in old.items() if row[2]["active"]}
    )

    rows: list[tuple] = []
    for persona_id, profile in sorted(by_persona.items()):
        label, words, reason = names[persona_id]
        before = old.get(persona_id)
        if before is None:
            labelled_on, previous, label_reason = work.reference_day, None, reason
        elif before[1] == label:
            labelled_on, previous, label_reason = before[3:6]
        else:
            labelled_on, previous, label_reason = work.reference_day, before[1], reason
        measured = {m: [rounded(profile[m]), rounded(overall[m])] for m in PHRASES}
        rows.append(
            (
                work.user_id,
                persona_id,
                label,
                describe(profile),
                explain(profile, overall, words, is_only=len(by_persona) == 1),
                Json({"words": list(words), "active": True, "measures": measured}),
                True,
                profile["sessions"],
                rounded(profile["sessions"] / overall["sessions"]),
                rounded(profile["ms_played"] / max(overall["ms_played"], 1)),
                rounded(profile["recent_ms_played"] / max(overall["recent_ms_played"], 1)),
                model_version,
                labelled_on,
                previous,
                label_reason or "still holds",
            )
        )
    for persona_id, (_, label, traits, labelled_on, previous, reason, description, explanation, version) in old.items():
        if persona_id not in by_persona:
            traits = Json({**traits, "active": False})
            rows.append(
                (work.user_id, persona_id, label, description, explanation, traits, False, 0, 0.0, 0.0, 0.0, version,
                 labelled_on, previous, reason)
            )  # fmt: skip
    return rows


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
