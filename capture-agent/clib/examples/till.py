#!/usr/bin/env python3
"""A till in Python, over the C library with ctypes.

    python3 till.py libcountersign.so '{"dir": "/var/lib/countersign-agent"}' A10020000
"""

import ctypes
import json
import sys
import uuid

TOO_SHORT, NO_AGENT, TIMED_OUT = -2, -6, -7


class Failed(Exception):
    """A call that came back below 0."""

    def __init__(self, code, error):
        super().__init__(f"{code}: {error.get('message', error)}")
        self.code = code
        self.error = error


class Countersign:
    """The library: one session of this process."""

    def __init__(self, path, config):
        self.library = ctypes.CDLL(path)
        for name in ("init", "call", "result", "confirm", "reverse", "last", "close"):
            getattr(self.library, f"countersign_{name}").restype = ctypes.c_int32
        self._made(lambda out, size: self.library.countersign_init(config.encode(), out, size))

    def _made(self, call):
        out = ctypes.create_string_buffer(4096)
        code = call(out, len(out))
        if code == TOO_SHORT:
            # The call was made; its answer is fetched, not asked for again.
            out = ctypes.create_string_buffer(self.library.countersign_last(None, 0))
            code = self.library.countersign_last(out, len(out))
        text = out.value.decode()
        if code < 0:
            raise Failed(code, json.loads(text).get("error", {}))
        return json.loads(text) if text else {}

    def call(self, code, **fields):
        request = json.dumps(fields).encode()
        return self._made(lambda out, size: self.library.countersign_call(code.encode(), request, out, size))

    def confirm(self, **fields):
        request = json.dumps(fields).encode()
        return self._made(lambda out, size: self.library.countersign_confirm(request, out, size))

    def reverse(self, **fields):
        request = json.dumps(fields).encode()
        return self._made(lambda out, size: self.library.countersign_reverse(request, out, size))

    def result(self, transaction):
        return self._made(lambda out, size: self.library.countersign_result(transaction.encode(), out, size))

    def close(self):
        self.library.countersign_close()


def verify(till, transaction):
    """The answer to the latest attempt; asks again under the same number where none came."""
    for attempt in (1, 2, 3):
        for last in (False, False, True):
            try:
                answer = till.call("attempt", transaction=transaction, attempt=attempt)
                break
            except Failed as failed:
                if last or failed.code not in (NO_AGENT, TIMED_OUT):
                    raise
        if answer["disposition"] != "retry":
            break
    return answer


def main():
    path, config, card = sys.argv[1:]
    till = Countersign(path, config)
    transaction = f"PY-{uuid.uuid4()}"
    till.call("open", transaction=transaction, scene="settlement", card=card, operator="0417")
    answer = verify(till, transaction)
    print(answer["disposition"], answer["receipt_number"], answer["receipt_short"])
    if answer["disposition"] not in ("settle", "settle_flagged", "document_check"):
        till.call("cancel", transaction=transaction)
        till.close()
        return 1
    checked_by = "0417" if answer["disposition"] == "document_check" else ""
    till.confirm(transaction=transaction, settlement=f"S-{transaction}", amount_fen=1250, document_checked_by=checked_by)
    till.reverse(transaction=transaction, settlement=f"S-{transaction}")
    print(till.result(transaction)["state"])
    till.close()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failed:
        print(failed, file=sys.stderr)
        sys.exit(1)
