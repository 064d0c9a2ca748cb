"""The made-up catalogue that all listeners share: artists by genre and circle, albums in order, recordings with ids.

A circle is a group of artists of one genre who are heard together, the best known first. The catalogue never changes:
1920 artists and about 30 000 tracks; what differs between listeners is what they make of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from include.demo.genres import (
    AUDIOBOOKS,
    BAND_FORMS,
    FIRST_NAMES,
    GENRES,
    LAST_NAMES,
    PODCASTS,
    SEASONS,
    TITLE_FORMS,
    Genre,
)
from include.demo.random_draws import RandomDraws, base62, hashed

CIRCLES_PER_GENRE = 4
ARTISTS_PER_CIRCLE = 40
CATALOG_SEED = 20150401


@dataclass(eq=False, slots=True, repr=False)
class Artist:
    artist_id: str
    name: str
    genre: Genre
    circle: int
    albums: list[Album] = field(default_factory=list)
    tracks: list[Track] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<Artist {self.name!r}>"


@dataclass(eq=False, slots=True, repr=False)
class Album:
    album_id: str
    name: str
    album_type: str
    release_date: str
    artist: Artist
    tracks: list[Track] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<Album {self.name!r} by {self.artist.name!r}>"


@dataclass(eq=False, slots=True, repr=False)
class Track:
    """One URI. `recording` numbers what is heard: the album track and its single share it, and their ISRC."""

    track_id: str
    name: str
    artist: Artist
    album: Album
    number: int
    duration_ms: int
    isrc: str
    recording: int
    disliked_by_some: bool
    other_release: Track | None = None

    def __repr__(self) -> str:
        return f"<Track {self.name!r} by {self.artist.name!r}>"

    @property
    def uri(self) -> str:
        return f"spotify:track:{self.track_id}"


class Episode(NamedTuple):
    uri: str
    name: str
    show: str
    duration_ms: int
    is_video: bool


class Chapter(NamedTuple):
    uri: str
    name: str
    audiobook_uri: str
    audiobook: str
    duration_ms: int


class LocalFile(NamedTuple):
    name: str
    artist: str
    album: str
    duration_ms: int


Item = Track | Episode | Chapter | LocalFile


@dataclass(frozen=True, slots=True)
class Catalog:
    artists: list[Artist]
    circles: list[list[Artist]]
    tracks: dict[str, Track]
    artists_by_id: dict[str, Artist]
    albums_by_id: dict[str, Album]
    episodes: list[Episode]
    chapters: list[Chapter]
    local_files: list[LocalFile]

    @property
    def shows(self) -> tuple[str, ...]:
        return tuple(show for show, _ in PODCASTS)

    def episodes_of(self, show: str) -> list[Episode]:
        return [episode for episode in self.episodes if episode.show == show]

    def circles_of(self, *genre_names: str) -> list[int]:
        return [i for i, circle in enumerate(self.circles) if circle[0].genre.name in genre_names]


@cache
def catalog() -> Catalog:
    """The whole catalogue; built once a process, always the same."""
    draws = RandomDraws("catalog", CATALOG_SEED)
    names: set[str] = set()
    circles: list[list[Artist]] = []
    tracks: dict[str, Track] = {}
    recordings = 0
    for genre in GENRES:
        for _ in range(CIRCLES_PER_GENRE):
            circle = []
            for rank in range(ARTISTS_PER_CIRCLE):
                name = _artist_name(draws, genre, names)
                artist = Artist(base62("artist", name), name, genre, len(circles))
                recordings = _add_albums(draws, artist, rank, recordings)
                circle.append(artist)
                for album in artist.albums:
                    tracks.update((track.track_id, track) for track in album.tracks)
            circles.append(circle)
    artists = [artist for circle in circles for artist in circle]
    return Catalog(
        artists=artists,
        circles=circles,
        tracks=tracks,
        artists_by_id={artist.artist_id: artist for artist in artists},
        albums_by_id={album.album_id: album for artist in artists for album in artist.albums},
        episodes=_episodes(draws),
        chapters=_chapters(draws),
        local_files=_local_files(draws),
    )


def _artist_name(draws: RandomDraws, genre: Genre, taken: set[str]) -> str:
    while True:
        if draws.chance(0.35):
            name = f"{draws.pick(FIRST_NAMES)} {draws.pick(LAST_NAMES)}"
        else:
            name = _fill(draws, genre, BAND_FORMS)
        if name not in taken:
            taken.add(name)
            return name


def _fill(draws: RandomDraws, genre: Genre, forms: tuple[str, ...]) -> str:
    noun = draws.pick(genre.nouns)
    other = draws.pick([another for another in genre.nouns if another != noun])
    nouns = noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in "aeiou" else noun + "s"
    if noun.endswith(("s", "x", "ch", "sh")):
        nouns = noun + "es"
    if noun == "Wolf":
        nouns = "Wolves"
    return draws.pick(forms).format(
        adjective=draws.pick(genre.adjectives),
        noun=noun,
        nouns=nouns,
        other=other,
        first=draws.pick(FIRST_NAMES),
        season=draws.pick(SEASONS),
    )


def _add_albums(draws: RandomDraws, artist: Artist, rank: int, recordings: int) -> int:
    """Give an artist albums, and singles of some of their tracks; returns the number of recordings so far."""
    year = 2004 + draws.below(18)
    titles: set[str] = set()
    for number in range(1 + draws.below(6 if rank < 4 else 4 if rank < 12 else 2)):
        if year > 2026:
            break
        month, day = 1 + draws.below(12), 1 + draws.below(28)
        album = Album(
            album_id=base62("album", artist.name, number),
            name=_new_title(draws, artist.genre, titles),
            album_type="album",
            release_date=f"{year}-{month:02}-{day:02}",
            artist=artist,
        )
        registrant = f"QZ{artist.artist_id[:3].upper()}{year % 100:02}"
        for position in range(1, 8 + draws.below(6)):
            track = Track(
                track_id=base62("track", artist.name, number, position),
                name=_new_title(draws, artist.genre, titles),
                artist=artist,
                album=album,
                number=position,
                duration_ms=int(min(11.5, max(1.4, draws.lognormal(artist.genre.minutes, 0.22))) * 60_000),
                isrc=f"{registrant}{recordings % 100_000:05}",
                recording=recordings,
                disliked_by_some=draws.chance(0.12),
            )
            recordings += 1
            album.tracks.append(track)
        artist.albums.append(album)
        artist.tracks.extend(album.tracks)
        if draws.chance(0.4):
            artist.albums.append(_single(draws.pick(album.tracks)))
        year += 1 + draws.below(4)
    return recordings


def _single(track: Track) -> Album:
    """The single of an album track: another URI and album for the same recording."""
    album = Album(
        album_id=base62("single", track.track_id),
        name=track.name,
        album_type="single",
        release_date=track.album.release_date,
        artist=track.artist,
    )
    single = Track(
        track_id=base62("single track", track.track_id),
        name=track.name,
        artist=track.artist,
        album=album,
        number=1,
        duration_ms=track.duration_ms,
        isrc=track.isrc,
        recording=track.recording,
        disliked_by_some=track.disliked_by_some,
        other_release=track,
    )
    track.other_release = single
    album.tracks.append(single)
    return album


def _new_title(draws: RandomDraws, genre: Genre, taken: set[str]) -> str:
    while True:
        title = _fill(draws, genre, TITLE_FORMS)
        if title not in taken:
            taken.add(title)
            return title


def _episodes(draws: RandomDraws) -> list[Episode]:
    return [
        Episode(
            uri=f"spotify:episode:{base62('episode', show, number)}",
            name=f"{number + 1}. {titles[number % len(titles)]}",
            show=show,
            duration_ms=int(draws.between(18, 52) * 60_000),
            is_video=show == "Night Sky Notes",
        )
        for show, titles in PODCASTS
        for number in range(120)
    ]


def _chapters(draws: RandomDraws) -> list[Chapter]:
    return [
        Chapter(
            uri=f"spotify:chapter:{base62('chapter', title, number)}",
            name=f"Chapter {number + 1}",
            audiobook_uri=f"spotify:show:{base62('audiobook', title)}",
            audiobook=title,
            duration_ms=int(draws.between(14, 38) * 60_000),
        )
        for title, chapters in AUDIOBOOKS
        for number in range(chapters)
    ]


def _local_files(draws: RandomDraws) -> list[LocalFile]:
    return [
        LocalFile(
            name=f"Rehearsal {take}",
            artist="Garage Tapes",
            album="Demos",
            duration_ms=int(draws.between(2, 5) * 60_000),
        )
        for take in range(1, 7)
    ]


def audio_features_of(track: Track) -> dict[str, float | int]:
    """Plausible, fixed audio features of a recording, from its genre's energy and its own hash."""
    draws = RandomDraws("audio features", track.recording)
    energy = min(0.99, max(0.01, draws.normal(track.artist.genre.energy, 0.12)))
    return {
        "acousticness": round(min(0.99, max(0.001, draws.normal(1 - energy, 0.15))), 4),
        "danceability": round(min(0.97, max(0.06, draws.normal(0.3 + 0.45 * energy, 0.12))), 4),
        "energy": round(energy, 4),
        "instrumentalness": round(min(0.97, max(0.0, draws.normal(0.8 if energy < 0.3 else 0.15, 0.15))), 4),
        "key": hashed("key", track.recording) % 13 - 1,
        "liveness": round(min(0.9, max(0.02, draws.normal(0.16, 0.08))), 4),
        "loudness": round(-22 + 17 * energy + draws.normal(0, 1.5), 3),
        "mode": hashed("mode", track.recording) % 2,
        "speechiness": round(
            min(0.6, max(0.02, draws.normal(0.22 if track.artist.genre.name == "hip hop" else 0.06, 0.03))), 4
        ),
        "tempo": round(draws.normal(78 + 55 * energy, 14), 3),
        "valence": round(min(0.98, max(0.02, draws.normal(0.25 + 0.4 * energy, 0.18))), 4),
    }
