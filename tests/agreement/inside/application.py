"""Asking a server's ASGI application in one's own process; by the server's interpreter."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx


class Application:
    """An application, and its answers.

    A request ends only when its background tasks have, so that what is not at its end by
    then never will be. Of each request it lists the status, the answer, and the exception
    that came out of the application, be it of a background task.
    """

    def __init__(self, application: Any, prefix: str) -> None:
        self.prefix = prefix
        self._raised = ""

        async def asked(scope: Any, receive: Any, send: Any) -> None:
            try:
                await application(scope, receive, send)
            except Exception as error:
                first = str(error).partition("\n")[0]
                self._raised = f"{type(error).__name__}: {first}"
                raise

        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=asked, raise_app_exceptions=False),
            base_url="http://server",
            timeout=None,
            follow_redirects=True,  # before 1.4 some paths had no slash at their end
        )

    async def log_in(self, user: str, password: str) -> None:
        form = {"username": user, "password": password}
        answer = await self._client.post("/auth/token/login/", data=form)
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    async def get(self, path: str) -> dict[str, Any]:
        return await self._ask("GET", path)

    async def post(self, path: str, body: object) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        return await self._ask("POST", path, content=json.dumps(body), headers=headers)

    async def upload(self, path: str, file: Path) -> dict[str, Any]:
        return await self._ask("POST", path, files={"file": (file.name, file.read_bytes())})

    async def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        self._raised = ""
        answer = await self._client.request(method, f"{self.prefix}{path}", **request)
        try:
            value = answer.json()
        except ValueError:
            value = answer.text
        return {"status": answer.status_code, "answer": value, "raised": self._raised}


def run(server: Callable[[Path], Any]) -> None:
    """Judge the cases of the command line: `CASES.json FACTS.jsonl FOLDER`."""
    cases, facts, folder = (Path(argument).resolve() for argument in sys.argv[1:])
    asyncio.run(_judge_all(server(folder), cases, facts))


async def _judge_all(server: Any, cases: Path, facts: Path) -> None:
    await server.start()
    with facts.open("w") as out:
        for case in json.loads(cases.read_text()):
            print(json.dumps(await server.judge(case)), file=out, flush=True)
            server.forget()
