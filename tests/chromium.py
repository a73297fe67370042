"""A headless Chromium over its debugging pipe: no driver, no package, no port."""

import base64
import json
import os
import select
import shutil
import subprocess
import time

CHROMIUM = next(
    (p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))),
    None,
)


class Chromium:
    """One page; `faults` and `requests` list what went wrong and what was fetched."""

    def __init__(self, width=1400, height=900):
        self.faults, self.requests = [], []
        self._number, self._answers, self._buffer = 0, {}, b""
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()

        # Chromium reads commands from descriptor 3 and writes answers to 4.
        command = f"exec {CHROMIUM} --headless --no-sandbox --disable-gpu"
        command += f" --remote-debugging-pipe --window-size={width},{height}"
        command += " --no-first-run --hide-scrollbars about:blank"
        command += f" 3<&{theirs_in} 4>&{theirs_out}"
        self._process = subprocess.Popen(
            ["bash", "-c", command],
            pass_fds=(theirs_in, theirs_out),
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._out, self._in = ours_out, ours_in
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = None
        self._session = self.call(
            "Target.attachToTarget", targetId=target, flatten=True
        )["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._out)
        os.close(self._in)

    def open(self, path):
        """Load a local file and wait until it stands."""
        self.call("Page.navigate", url=f"file://{path}")
        while self.evaluate("document.readyState") != "complete":
            time.sleep(0.05)
        self.requests = [u for u in self.requests if u != f"file://{path}"]

    def evaluate(self, script):
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def hover(self, selector):
        """Put the pointer on the middle of an element."""
        box = self.evaluate(
            f"(e => {{ e.scrollIntoView({{block: 'center', inline: 'center'}});"
            " const b = e.getBoundingClientRect();"
            f" return [b.x + b.width / 2, b.y + b.height / 2]; }})"
            f"(document.querySelector({json.dumps(selector)}))"
        )
        self.mouse("mouseMoved", box)
        return box

    def click(self, selector):
        """Click on the middle of an element."""
        box = self.hover(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, box, button="left", clickCount=1)

    def mouse(self, kind, box, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], **more)

    def screenshot(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def call(self, method, **params):
        """One command of the DevTools protocol, and its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if getattr(self, "_session", None):
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 60
        while self._number not in self._answers:
            assert select.select([self._in], [], [], deadline - time.monotonic())[0]
            self._read()
        answer = self._answers.pop(self._number)
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def _read(self):
        self._buffer += os.read(self._in, 1 << 16)
        *messages, self._buffer = self._buffer.split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._answers[message["id"]] = message
            self._notice(message.get("method"), message.get("params", {}))

    def _notice(self, method, params):
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown" or method == "Network.loadingFailed":
            self.faults.append(params)
        elif method == "Runtime.consoleAPICalled" and params["type"] in (
            "error",
            "warning",
        ):
            self.faults.append(params)
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.faults.append(params)
