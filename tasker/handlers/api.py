"""`ApiStepHandler`: a step that calls a web service. The engine alone retries; the status decides whether it does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx2
import orjson

from tasker.errors import PermanentError, TaskerError
from tasker.handlers.api_body import parsed
from tasker.handlers.api_client import AsyncClient, Client, Use, begin
from tasker.handlers.api_config import ApiConfig
from tasker.handlers.api_outcome import classify, explained, refused
from tasker.handlers.attempt import is_async
from tasker.handlers.step_handler import StepHandler
from tasker.handlers.step_view import JsonValue

if TYPE_CHECKING:
    from tasker.handlers.attempt_step import AttemptStep


class ApiStepHandler(StepHandler):
    """A step that calls a web service through `self.connection` and returns the response.

    The response is classified before `process_results`, which sees only successes: 2xx and the statuses in `accept`.
    408, 425, 429, 5xx and transport errors are retried, everything else fails for good.
    """

    _use: Use | None = None

    @property
    def connection(self) -> Any:  # noqa: ANN401 - a Client in sync handlers, an AsyncClient in async ones
        """Give the `httpx2.Client` (in async handlers the `AsyncClient`) that this worker keeps for the config.

        Attempts share it: give what is meant for one request with that request. Cookies alone last for the attempt.
        POST and PATCH carry the step's idempotency key unless the request has an `Idempotency-Key` of its own. A thread
        that the handler starts asks for `self.connection` itself, or its requests carry no key.

        Raises:
            InvalidDefinition: The handler_config is wrong.
            TaskerError: No attempt is running.
        """
        step = self.attempt_step
        if step is None:
            message = f"{type(self).__qualname__}.connection is there only while the engine runs an attempt of it"
            raise TaskerError(message)
        self._use = self._use or Use(step, httpx2.Cookies())
        begin(self._use)
        connections, secrets = step.tools.connections, step.secrets
        transport = connections.transport
        config = orjson.dumps(dict(self.config), default=repr, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
        if is_async(type(self)):
            key = (config, asyncio.get_running_loop())
            return connections.get(AsyncClient, key, lambda: AsyncClient(self._settings, secrets, transport))
        return connections.get(Client, config, lambda: Client(self._settings, secrets, transport))

    @property
    def _settings(self) -> ApiConfig:
        return ApiConfig.of(self.config)

    def process_results(self, step: AttemptStep, process_output: JsonValue, initial_results: JsonValue) -> object:
        """Turn the response into {status, headers, body}; a body that is no JSON is kept as text."""
        if isinstance(process_output, httpx2.Response):
            headers = dict(process_output.headers)
            process_output = {
                "status": process_output.status_code,
                "headers": headers,
                "body": parsed(process_output),
            }
        return super().process_results(step, process_output, initial_results)

    def get_from_results(self, response: httpx2.Response | JsonValue, *path: str | int) -> JsonValue:
        """Read a value of the JSON body of a response.

        Args:
            response: The response, or a JSON value.
            path: The keys and list places that lead to the value.

        Raises:
            PermanentError: There is no such value; its text names the path.
        """
        value = parsed(response) if isinstance(response, httpx2.Response) else response
        for place, part in enumerate(path):
            try:
                value = _inside(value, part)
            except LookupError:
                written = ".".join(map(str, path))
                where = ".".join(map(str, path[:place])) or "the body"
                message = f"expected a value at {written} in the response, found no {part!r} in {where}"
                raise PermanentError(message, code="MISSING_VALUE") from None
        return value

    def examine_output(self, output: object) -> object:
        """Let successes pass and raise for the others."""
        if isinstance(output, httpx2.Response):
            self._classify(output)
        return output

    def examine_error(self, error: BaseException) -> BaseException:
        """Say which request a transport error belongs to, and classify what `raise_for_status` raised."""
        try:
            if isinstance(error, httpx2.HTTPStatusError):
                self._classify(error.response)
                return refused(error)
            return explained(error) if isinstance(error, httpx2.RequestError) else error
        except TaskerError as classified:
            return classified.with_traceback(error.__traceback__)

    def _classify(self, response: httpx2.Response) -> None:
        accept = self._settings.accept if self.config.get("accept") else frozenset()
        step = self.attempt_step
        if step is None:
            classify(response, accept)
        else:
            classify(response, accept, step.tools.clock, step.secrets)


def _inside(value: JsonValue, part: str | int) -> JsonValue:
    if isinstance(value, dict) or (isinstance(value, list) and isinstance(part, int)):
        found: JsonValue = value
        return found[part]
    raise KeyError(part)
