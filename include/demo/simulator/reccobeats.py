"""ReccoBeats (/reccobeats/v1/…), which knows the audio features of some tracks."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import FastAPI, Query
from fastapi.responses import JSONResponse, Response

from include.demo.catalog import catalog
from include.demo.random_draws import hashed
from include.demo.simulator import spotify_json

COVERAGE = 67  # percent of tracks


def add_routes(app: FastAPI) -> None:
    @app.get("/reccobeats/v1/audio-features")
    async def audio_features(ids: str = Query("")) -> Response:
        wanted = [track_id for track_id in ids.split(",") if track_id]
        if not wanted or len(wanted) > 40:
            problem = {
                "timestamp": datetime.now(UTC).isoformat(),
                "error": "ids must have 1 to 40 entries",
                "status": 400,
            }
            return JSONResponse(problem, 400)
        known = [track for track_id in wanted if (track := catalog().tracks.get(track_id)) is not None]
        covered = [track for track in known if hashed("reccobeats", track.recording) % 100 < COVERAGE]
        return JSONResponse({"content": [spotify_json.reccobeats_features(track) for track in covered]})
