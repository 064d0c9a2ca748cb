"""Names for a listener's session clusters: `staging.personas`.

A persona is named after what sets its sessions apart from the listener's other sessions: who is heard, then how, then
when. A name stays as long as the persona bears it out, with some slack; why a name was given or changed is stored with
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import floor, log2
from string import ascii_lowercase
from typing import Any, NamedTuple

import psycopg
from psycopg.types.json import Json

from ml.personas.centroids import MIN_CLUSTER_SHARE
from ml.personas.session_clusters import SETTLING_DAYS
from ml.tables import Work, fetch, listener_of, replace_rows, take_work

RECENT_DAYS = 28
# Columns of persona_profiles that add up over personas.
TOTALS = ("sessions", "ms_played", "recent_ms_played")
# A name once given needs only this share of the difference that earned it, and one that says little gives way only to
# one that is earned by this many times the difference.
SLACK, CLEARLY = 0.5, 1.2
# An artist leads a persona who has this share of its plays and this many times the share of the other sessions' plays,
# and was played often enough, in enough sessions, for that not to be chance.
LEADER_SHARE = 0.05
LEADER_RATIO = 1.5
LEADER_PLAYS = 10
LEADER_SESSIONS = 4
# How many artists a name has at most; the second only if it leads by this share of the first one's telling.
LEADERS = 2
SECOND_LEADER = 0.3
# How many of a persona's most telling artists are looked at.
PLACES = 12

Profile = Mapping[str, Any]


@dataclass(frozen=True)
class Clause:
    """One thing a name claims: the measure is at least `limit` and exceeds that of the other sessions by `beyond` (or,
    `below`, is at most and falls short). Measures are columns of persona_profiles; minutes and unique_artists compare
    as ratios."""

    measure: str
    limit: float
    beyond: float
    below: bool = False

    def difference(self, profile: Profile, others: Profile) -> float:
        """Signed difference to the other sessions, positive in the clause's direction."""
        value, usual = profile[self.measure], others[self.measure]
        difference = value / max(usual, 0.1) - 1 if self.measure in RATIOS else value - usual
        return -difference if self.below else difference

    def holds(self, profile: Profile, others: Profile, slack: float = 1.0) -> bool:
        """:param slack: 1 to earn the name; less to keep it."""
        value = profile[self.measure]
        if value is None or others[self.measure] is None:
            return False
        limit = self.limit * (2 - slack) if self.below else self.limit * slack
        reached = value <= limit if self.below else value >= limit
        return reached and self.difference(profile, others) >= self.beyond * slack

    def said(self, profile: Profile, others: Profile) -> str:
        return phrase(self.measure, profile, others, below=self.below)


@dataclass(frozen=True)
class Word:
    """Part of a name, and the clauses that must all hold for it. The first clause ranks it.

    :ivar alone: the part without artists; with_artists: with `{who}` for them.
    :ivar when: how a time is said behind a habit.
    """

    alone: str
    with_artists: str
    clauses: tuple[Clause, ...]
    when: str = ""

    def holds(self, profile: Profile, others: Profile, slack: float = 1.0) -> bool:
        return all(clause.holds(profile, others, slack) for clause in self.clauses)

    def distinctness(self, profile: Profile, others: Profile) -> float:
        first = self.clauses[0]
        return round(first.difference(profile, others) / SPREADS[first.measure], 3)


RATIOS = ("minutes", "unique_artists")
# A difference this large is as telling in one measure as in another.
SPREADS = {
    "album": 0.25, "discovery": 0.2, "repeat": 0.2, "shuffle": 0.4, "skip": 0.2, "minutes": 1.0, "unique_artists": 1.0,
    "weekend": 0.35, "night": 0.4, "morning": 0.4, "midday": 0.4, "afternoon": 0.4, "evening": 0.4,
}  # fmt: skip

HABITS = {
    "albums": Word("Albums", "Albums with {who}", (Clause("album", 0.35, 0.15),)),
    "discoveries": Word("Discoveries", "Discoveries with {who}", (Clause("discovery", 0.15, 0.06),)),
    "repeat": Word("Songs on repeat", "Songs on repeat with {who}", (Clause("repeat", 0.12, 0.08),)),
    "party": Word(
        "Party mix", "Party mix with {who}", (Clause("unique_artists", 12, 0.5), Clause("shuffle", 0.5, 0.0))
    ),
    "shuffle": Word("Songs on shuffle", "Songs on shuffle with {who}", (Clause("shuffle", 0.5, 0.2),)),
    "many": Word("Many artists", "Many artists with {who}", (Clause("unique_artists", 8, 0.5),)),
    "one": Word(
        "One artist at a time", "One artist at a time with {who}", (Clause("unique_artists", 2, 0.4, below=True),)
    ),
    "skip": Word("Skipping around", "Skipping around with {who}", (Clause("skip", 0.35, 0.15),)),
    "long": Word("Long sessions", "Long sessions with {who}", (Clause("minutes", 45, 0.5),)),
    "short": Word("Short sessions", "Short sessions with {who}", (Clause("minutes", 15, 0.4, below=True),)),
    "familiar": Word("Familiar songs", "Familiar songs with {who}", (Clause("discovery", 0.06, 0.04, below=True),)),
}
# "Favourites" of 1 % of the time are none.
FAMILIAR_SHARE = 0.1


def times() -> dict[str, Word]:
    """Parts of the day, of weekdays and weekends, and both."""
    days = {
        "weekday": ("weekdays", "on weekdays", Clause("weekend", 0.1, 0.1, below=True)),
        "weekend": ("weekends", "at weekends", Clause("weekend", 0.65, 0.2)),
    }
    parts = {
        "night": ("nights", "late at night"),
        "morning": ("mornings", "in the morning"),
        "midday": ("middays", "around noon"),
        "afternoon": ("afternoons", "in the afternoon"),
        "evening": ("evenings", "in the evening"),
    }
    result = {}
    for part, (plural, when) in parts.items():
        clause = Clause(part, 0.5, 0.1)
        for day, (_, _, of_week) in days.items():
            text = f"{day.capitalize()} {plural}"
            result[f"{day} {part}"] = Word(text, f"{text} with {{who}}", (clause, of_week), f"on {day} {plural}")
        text = "Late nights" if part == "night" else plural.capitalize()
        result[part] = Word(text, f"{text} with {{who}}", (clause,), when)
    for day, (plural, when, of_week) in days.items():
        result[day] = Word(plural.capitalize(), f"{plural.capitalize()} with {{who}}", (of_week,), when)
    return result


TIMES = times()
# Where no artist stands out.
EVERYTHING = "A bit of everything"

# How each measure is said: of the persona's value and of the other sessions'.
PHRASES = {
    "night": "{value} start between 22:00 and 5:00 (your other sessions: {usual})",
    "morning": "{value} start between 5:00 and 10:00 (your other sessions: {usual})",
    "midday": "{value} start between 10:00 and 14:00 (your other sessions: {usual})",
    "afternoon": "{value} start between 14:00 and 18:00 (your other sessions: {usual})",
    "evening": "{value} start between 18:00 and 22:00 (your other sessions: {usual})",
    "weekend": "{value} fall on a weekend (your other sessions: {usual})",
    "minutes": "half of them play at least {value} (your other sessions: {usual})",
    "unique_artists": "half of them have at least {value} (your other sessions: {usual})",
    "discovery": "on average {value} of a session's plays are first listens (your other sessions: {usual})",
    "repeat": "on average {value} of a session's plays repeat a track of the same session (your other sessions: {usual})",
    "album": "on average {value} of a session's plays follow another track of the same album"
     " (your other sessions: {usual})",
    "shuffle": "on average {value} of a session's plays are shuffled (your other sessions: {usual})",
    "skip": "on average {value} of a session's plays are skipped (your other sessions: {usual})",
}  # fmt: skip
# … and where it is small that argues for the name.
PHRASES_BELOW = {
    "minutes": "half of them play under {value} (your other sessions: {usual})",
    "unique_artists": "half of them have at most {value} (your other sessions: {usual})",
}
UNITS = {"minutes": "minute", "unique_artists": "artist"}
ARTIST_PHRASE = "{artist} has {value} of the plays (your other sessions: {usual})"
PARTS_OF_DAY = ("night", "morning", "midday", "afternoon", "evening")
# By how much the share of a part of the day must exceed the usual to be worth a word.
RISEN = 0.08
SUMMARIES = {
    "night": "late at night", "morning": "in the morning", "midday": "around noon", "afternoon": "in the afternoon",
    "evening": "in the evening", "weekend": "mostly at weekends",
}  # fmt: skip


def say(measure: str, value: float | None, *, below: bool = False) -> str:
    """A number as it can be said of at least half of the sessions (minutes, artists), or a share."""
    if value is None:
        return "unknown"
    if measure not in UNITS:
        return f"{100 * value:.0f} %"
    whole = floor(value) + (1 if below and measure == "minutes" else 0)
    return f"{whole} {UNITS[measure]}{'' if whole == 1 else 's'}"


def phrase(measure: str, profile: Profile, others: Profile, *, below: bool = False) -> str:
    text = PHRASES_BELOW.get(measure, PHRASES[measure]) if below else PHRASES[measure]
    return text.format(
        value=say(measure, profile[measure], below=below), usual=say(measure, others[measure], below=below)
    )


class Leader(NamedTuple):
    """An artist of a persona: a row of persona_artists."""

    artist_name: str
    sessions: int
    plays: int
    persona_plays: int
    artist_plays: int
    all_plays: int

    @property
    def share(self) -> float:
        return self.plays / self.persona_plays

    @property
    def usual(self) -> float:
        """Share of the other sessions' plays."""
        return (self.artist_plays - self.plays) / max(self.all_plays - self.persona_plays, 1)

    @property
    def telling(self) -> float:
        """As persona_artists orders by."""
        return self.share * log2(self.share / (self.artist_plays / self.all_plays))

    def holds(self, slack: float = 1.0) -> bool:
        """:param slack: 1 to be named; less to stay named."""
        return (
            self.plays >= LEADER_PLAYS * slack
            and self.sessions >= LEADER_SESSIONS * slack
            and self.share >= LEADER_SHARE * slack
            and self.share >= self.usual * (1 + (LEADER_RATIO - 1) * slack)
        )

    def said(self) -> str:
        return ARTIST_PHRASE.format(
            artist=self.artist_name, value=say("share", self.share), usual=say("share", self.usual)
        )


class Name(NamedTuple):
    """What a name is made of: keys of HABITS and TIMES, and artists."""

    habit: str | None = None
    time: str | None = None
    artists: tuple[str, ...] = ()
    letter: str = ""

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(words[key] for words, key in ((HABITS, self.habit), (TIMES, self.time)) if key is not None)

    @property
    def label(self) -> str:
        if self.artists:
            who = " and ".join(self.artists)
            return self.words[0].with_artists.format(who=who) if self.words else who
        if self.habit == "albums" and self.time in ("night", "evening"):
            return f"Album {self.time}s"
        text = HABITS[self.habit].alone if self.habit else EVERYTHING
        return " ".join(filter(None, (text, TIMES[self.time].when if self.time else "", self.letter)))

    @property
    def tags(self) -> list[str]:
        """The parts by themselves."""
        return [*self.artists, *(word.alone for word in self.words)]


def holding(words: Mapping[str, Word], profile: Profile, others: Profile, slack: float = 1.0) -> list[str]:
    """Keys of the words that the profile bears out, the most precise and telling first."""
    held = [key for key, word in words.items() if word.holds(profile, others, slack)]
    if words is HABITS and profile["ms_played"] < FAMILIAR_SHARE * (profile["ms_played"] + others["ms_played"]):
        held = [key for key in held if key != "familiar"]
    return sorted(held, key=lambda key: (-len(words[key].clauses), -words[key].distinctness(profile, others)))


def possible_names(profile: Profile, others: Profile, leaders: Sequence[Leader], slack: float = 1.0) -> Iterator[Name]:
    """Names the profile bears out, the most telling first; endless.

    :param leaders: artists that no other persona is named after, the most telling first.
    """
    habits, hours = holding(HABITS, profile, others, slack), holding(TIMES, profile, others, slack)
    strong = [leader for leader in leaders if leader.holds(slack)]
    if strong:
        named = [strong[0], *(o for o in strong[1:] if o.telling >= SECOND_LEADER * strong[0].telling)][:LEADERS]
        artists = tuple(leader.artist_name for leader in named)
        heads = [(HABITS[key], Name(habit=key, artists=artists)) for key in habits]
        heads += [(TIMES[key], Name(time=key, artists=artists)) for key in hours]
        heads.sort(key=lambda head: -head[0].distinctness(profile, others))
        yield from (name for _, name in heads)
        yield Name(artists=artists)
    for habit in habits:
        yield from (Name(habit, time) for time in hours)
        yield Name(habit)
    yield from (Name(time=time) for time in hours)
    # What is weaker serves where another persona has the name already.
    weak = [(leader.artist_name,) for leader in leaders if leader.telling > 0]
    yield from (Name(habit, artists=artists) for habit in habits for artists in weak)
    yield Name()
    yield from (Name(artists=artists) for artists in weak)
    yield from (Name(letter=f"({letter})") for letter in ascii_lowercase)


def choose_names(
    profiles: Mapping[int, Profile],
    others: Mapping[int, Profile],
    leaders: Mapping[int, Sequence[Leader]],
    named: Mapping[int, Name],
) -> dict[int, tuple[Name, str]]:
    """A name for each persona, all different, kept where it still holds.

    :param profiles, others: persona id → row of persona_profiles of its sessions, and of all that are not its.
    :param leaders: persona id → its rows of persona_artists.
    :param named: persona id → name so far.
    :return: persona id → name, and why it has that name, or "" if it keeps it.
    """
    result: dict[int, tuple[Name, str]] = {}
    broken: dict[int, str] = {}
    for persona_id, name in named.items():
        if persona_id not in profiles:
            continue
        profile, usual = profiles[persona_id], others[persona_id]
        failed = [
            clause.said(profile, usual)
            for word in name.words
            for clause in word.clauses
            if not clause.holds(profile, usual, slack=SLACK)
        ]
        present = {leader.artist_name: leader for leader in leaders.get(persona_id, ())}
        failed += [
            present[artist].said() if artist in present else f"other artists than {artist} set it apart"
            for artist in name.artists
            if artist not in present or not present[artist].holds(SLACK)
        ]
        vague = not name.words and not name.artists
        if failed:
            broken[persona_id] = f"“{name.label}” no longer fits: {failed[0]}"
        elif vague and next(possible_names(profile, usual, leaders.get(persona_id, ()), CLEARLY)) != Name():
            broken[persona_id] = f"“{name.label}” said little, and more is known now"
        else:
            result[persona_id] = (name, "")

    # An artist names one persona: the one it tells most of.
    owner: dict[str, int] = {artist: p for p, (name, _) in result.items() for artist in name.artists}
    everyone = ((leader.telling, p, leader.artist_name) for p in profiles for leader in leaders.get(p, ()))
    for _, persona_id, artist in sorted(everyone, key=lambda row: (-row[0], row[1], row[2])):
        owner.setdefault(artist, persona_id)

    def names(persona_id: int) -> Iterator[Name]:
        own = [leader for leader in leaders.get(persona_id, ()) if owner[leader.artist_name] == persona_id]
        return possible_names(profiles[persona_id], others[persona_id], own)

    taken = {name.label for name, _ in result.values()}
    # The persona whose best name is the most telling chooses first.
    unnamed = sorted(
        (persona_id for persona_id in profiles if persona_id not in result),
        key=lambda p: (-telling(next(names(p)), profiles[p], others[p]), p),
    )
    for persona_id in unnamed:
        name = next(name for name in names(persona_id) if name.label not in taken)
        taken.add(name.label)
        result[persona_id] = (name, broken.get(persona_id, "first name of this persona"))
    return result


def telling(name: Name, profile: Profile, others: Profile) -> float:
    return max((word.distinctness(profile, others) for word in name.words), default=0.0)


def explain(profile: Profile, others: Profile, leaders: Sequence[Leader], name: Name, *, is_only: bool = False) -> str:
    """Why the persona has its name, every number a column of persona_profiles or persona_artists."""
    everything = profile["ms_played"] + (0 if is_only else others["ms_played"])
    sessions, share = profile["sessions"], 100 * profile["ms_played"] / max(everything, 1)
    noun = "session" if sessions == 1 else "sessions"
    start = f"{sessions} {noun}, {share:.0f} % of the time you listened"
    if is_only:
        return (
            f"{start}: nothing tells several kinds of listening apart, so this is all of it;"
            f" {phrase('minutes', profile, profile).split(' (')[0]}."
        )
    phrases = [leader.said() for leader in leaders if leader.artist_name in name.artists]
    clauses = [clause for word in name.words for clause in word.clauses]
    phrases += [clause.said(profile, others) for clause in clauses if profile[clause.measure] is not None]
    if not name.artists and not name.habit:
        phrases.append("no artist is heard much more here than in your other sessions")
    return f"{start}: {'; '.join(phrases)}."


def describe(profile: Profile, others: Profile, leaders: Sequence[Leader] = ()) -> str:
    """A line in words: how long, when, how varied, who."""
    length = "Long" if profile["minutes"] >= 75 else "Short" if profile["minutes"] <= 20 else "Medium"
    span = max(PARTS_OF_DAY, key=lambda m: profile[m])
    risen = max(PARTS_OF_DAY, key=lambda m: profile[m] - others[m])
    if profile[span] >= 0.5:
        when = SUMMARIES[span]
    elif profile[risen] >= others[risen] + RISEN:
        when = f"more often {SUMMARIES[risen]} than others"
    else:
        when = "at any hour"
    parts = [f"{length} sessions", when]
    if profile["weekend"] >= 0.65:
        parts.append(SUMMARIES["weekend"])
    if profile["album"] >= 0.35:
        parts.append("albums heard through")
    if (profile["discovery"] or 0) >= 0.2:
        parts.append("much of it new")
    if (profile["shuffle"] or 0) >= 0.5:
        parts.append("shuffled")
    if profile["repeat"] >= 0.15:
        parts.append("the same tracks again")
    artists = [leader.artist_name for leader in leaders if leader.holds()][:3]
    text = f"{' '.join(parts[:2])}{''.join(f', {part}' for part in parts[2:])}"
    return f"{text}; more than elsewhere {listed(artists)}" if artists else text


def listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def label_personas(connection: psycopg.Connection, *, as_of: datetime) -> dict[str, int]:
    """Profile and name the personas of every listener whose sessions were clustered anew; commits.

    `labelled_on` is the local day on which the present name was given. A persona is active once it has
    MIN_CLUSTER_SHARE of the sessions, and as long as the model has it or it has as many. Personas without sessions
    stay, inactive, so that history keeps its names.

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
    parameters = {
        "user_id": work.user_id,
        "recent_after": work.reference_day - timedelta(days=RECENT_DAYS),
        "settling_days": SETTLING_DAYS,
        "places": PLACES,
    }
    by_persona: dict[int, Profile] = {}
    others: dict[int, Profile] = {}
    for row in fetch(connection, "persona_profiles", parameters):
        (others if row.pop("is_other") else by_persona)[row["persona_id"]] = {
            name: float(value)
            if name not in ("persona_id", *TOTALS) and value is not None
            else value
            for name, value in row.items()
        }  # fmt: skip
    if not by_persona:
        return []
    # One kind of listening has nothing to be told from.
    others = others or by_persona
    totals = {name: sum(profile[name] for profile in by_persona.values()) for name in TOTALS}
    [(model_version, of_model)] = connection.execute(
        "select version, persona_ids from staging.clustering_models where user_id = %s and is_current", [work.user_id]
    ).fetchall()
    leaders: dict[int, list[Leader]] = {}
    for row in fetch(connection, "persona_artists", parameters):
        leaders.setdefault(row.pop("persona_id"), []).append(Leader(**row))
    old = {
        row[0]: row
        for row in connection.execute(
            "select persona_id, label, traits, labelled_on, previous_label, label_reason, description, explanation,"
            " model_version from staging.personas where user_id = %s",
            [work.user_id],
        )
    }
    shown = {p for p, row in old.items() if row[2]["active"]}
    # Names from before they were made of artists stand for nothing now.
    named = {p: old[p][2]["name"] for p in shown if "name" in old[p][2]}
    names = choose_names(
        by_persona,
        others,
        leaders,
        {p: Name(**name | {"artists": tuple(name["artists"])}) for p, name in named.items()},
    )

    rows: list[tuple] = []
    for persona_id, profile in sorted(by_persona.items()):
        (name, reason), artists, usual = names[persona_id], leaders.get(persona_id, []), others[persona_id]
        share = profile["sessions"] / totals["sessions"]
        is_active = (
            share >= MIN_CLUSTER_SHARE or len(by_persona) == 1 or (persona_id in of_model and persona_id in shown)
        )
        before = old.get(persona_id) if persona_id in shown else None
        if before is None:
            labelled_on, previous, label_reason = work.reference_day, None, reason
        elif before[1] == name.label:
            labelled_on, previous, label_reason = before[3:6]
        else:
            labelled_on, previous, label_reason = work.reference_day, before[1], reason
        measured = {m: [rounded(profile[m]), rounded(usual[m])] for m in PHRASES}
        rows.append(
            (
                work.user_id,
                persona_id,
                name.label,
                describe(profile, usual, artists),
                explain(profile, usual, artists, name, is_only=len(by_persona) == 1),
                Json({"words": name.tags, "name": name._asdict(), "active": is_active, "measures": measured}),
                is_active,
                profile["sessions"],
                rounded(share),
                rounded(profile["ms_played"] / max(totals["ms_played"], 1)),
                rounded(profile["recent_ms_played"] / max(totals["recent_ms_played"], 1)),
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
