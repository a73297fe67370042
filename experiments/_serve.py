"""Serve one folder to browsers on this machine, and only to them."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = 8000  # or any free one


class OnlyInside(SimpleHTTPRequestHandler):
    """Answers with the files of its folder, and does not log requests."""

    def translate_path(self, path: str) -> str:
        """The file, unless it is a link that leads out of the folder."""
        found, root = Path(super().translate_path(path)), Path(self.directory).resolve()
        inside = found.resolve().is_relative_to(root)
        return str(found) if inside else str(root / "not-in-this-folder")

    def log_message(self, format: str, *args: object) -> None:
        del format, args


def server(folder: Path, port: int = PORT) -> ThreadingHTTPServer:
    """A server of the folder on 127.0.0.1, not started yet."""
    handler = partial(OnlyInside, directory=str(folder))
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError:  # the port is taken
        return ThreadingHTTPServer(("127.0.0.1", 0), handler)


def serve(at: ThreadingHTTPServer) -> None:
    """Answer requests until Ctrl-C."""
    try:
        at.serve_forever()
    except KeyboardInterrupt:
        print("\nstopped serving")
    finally:
        at.server_close()
