"""Spotify's accounts service: consent (/authorize) and tokens (/api/token), OAuth 2.0."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import urlencode, urlsplit

from fastapi import FastAPI, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from include.demo.simulator.database import ACCESS_TOKEN_MS, InvalidGrant
from include.demo.simulator.simulated_spotify import CLIENT_ID, CLIENT_SECRET, SimulatedSpotify


def add_routes(app: FastAPI, spotify: SimulatedSpotify) -> None:
    @app.get("/authorize")
    async def authorize(
        client_id: str = "",
        response_type: str = "",
        redirect_uri: str = "",
        scope: str = "",
        state: str | None = None,
        code_challenge: str | None = None,
    ) -> Response:
        """Consents at once, as the signed-in listener."""
        if client_id != CLIENT_ID:
            return Response("INVALID_CLIENT: Invalid client", 400)
        target = urlsplit(redirect_uri)
        if target.scheme != "https" and not (target.scheme == "http" and target.hostname in ("127.0.0.1", "::1")):
            return Response("INVALID_CLIENT: Insecure redirect URI", 400)
        if response_type != "code":
            return Response("response_type must be code", 400)
        if spotify.denies_consent:
            answer = {"error": "access_denied"}
        else:
            code = spotify.database.issue_code(spotify.signed_in, redirect_uri, scope, code_challenge, spotify.now_ms)
            answer = {"code": code}
        if state is not None:
            answer["state"] = state
        return RedirectResponse(f"{redirect_uri}{'&' if target.query else '?'}{urlencode(answer)}", 302)

    @app.post("/api/token")
    async def token(
        request: Request,
        grant_type: str = Form(""),
        code: str = Form(""),
        redirect_uri: str = Form(""),
        refresh_token: str = Form(""),
        client_id: str = Form(""),
        client_secret: str = Form(""),
        code_verifier: str | None = Form(None),
    ) -> Response:
        def refused(error: str, description: str) -> JSONResponse:
            return JSONResponse({"error": error, "error_description": description}, 400)

        if not _is_our_app(request.headers.get("authorization"), client_id, client_secret, code_verifier):
            return refused("invalid_client", "Invalid client")
        challenge = None if code_verifier is None else _challenge(code_verifier)
        try:
            if grant_type == "authorization_code":
                user_id, scope, new_token = spotify.database.redeem_code(code, redirect_uri, challenge, spotify.now_ms)
            elif grant_type == "refresh_token":
                rotate = spotify.rotates != 0
                user_id, scope, rotated = spotify.database.refresh(
                    refresh_token, spotify.now_ms, rotate, spotify.keeps_former
                )
                new_token = rotated or ""
                if rotate and spotify.rotates > 0:
                    spotify.rotates -= 1
            else:
                return refused("unsupported_grant_type", "grant_type must be authorization_code or refresh_token")
        except InvalidGrant as error:
            return refused("invalid_grant", str(error))
        request.scope["simulated_user"] = user_id
        answer = {
            "access_token": spotify.database.issue_access_token(user_id, scope, spotify.now_ms),
            "token_type": "Bearer",
            "expires_in": ACCESS_TOKEN_MS // 1000,
            "scope": scope,
        }
        if new_token:
            answer["refresh_token"] = new_token
        return JSONResponse(answer)


def _is_our_app(authorization: str | None, client_id: str, client_secret: str, verifier: str | None) -> bool:
    if authorization is None:
        return client_id == CLIENT_ID and (client_secret == CLIENT_SECRET or verifier is not None)
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        return base64.b64decode(credentials, validate=True).decode() == f"{CLIENT_ID}:{CLIENT_SECRET}"
    except ValueError:
        return False


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
