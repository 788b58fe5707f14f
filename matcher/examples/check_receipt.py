#!/usr/bin/env python3
"""Checks a receipt at the settlement side, with a stock JWT library. An example to copy from.

    python3 -m venv check && check/bin/pip install -r requirements.txt
    echo "$RECEIPT" | check/bin/python check_receipt.py --jwks https://center.example:7444/.well-known/jwks.json \
        --ca ca.crt --settlement-key settlement.key --burned burned.db --settlement S-1 --institution P330212 \
        --transaction 20261122-0001 --scene settlement --card A10020001 --amount-fen 1250

A valid signature says only that the center wrote the receipt. What makes it worth anything is that every claim is compared
with the settlement at hand, and that its number is burned: here in a table of our own, in one transaction. What this check
cannot see is whether the receipt was reversed at the center afterwards; hold the day's settlements against the center's
receipts for that (`matcher reconcile`), or ask the center to confirm each (gRPC, `ReceiptService`).

Prints {"holds": true, ...} and exits 0, or {"holds": false, "reason": "..."} and exits 1; 2 when it could not check.
"""

import argparse
import base64
import hashlib
import hmac
import json
import pathlib
import sqlite3
import ssl
import sys
import time
import unicodedata

import jwt

TYPE = "countersign-receipt+jwt"
PROVISIONAL_TYPE = "countersign-provisional-receipt+jwt"
VALID_SECONDS_MAX = 15 * 60
CLOCK_AHEAD_SECONDS = 60
LENGTH_MAX = 4096
ALWAYS = {
    "iss", "aud", "jti", "iat", "exp", "institution", "transaction", "attempt", "scene", "decision", "disposition", "policy", "card_mac",
}
SOMETIMES = {"scenes", "uses", "amount_max_fen"}


class Refused(Exception):
    """The receipt does not hold; the reason is one of the words that the center uses."""


def card_mac(key: bytes, kind: str, region: str, number: str) -> str:
    """How receipts name a card: HMAC-SHA-256 of "card", kind, region and number, each followed by a zero byte."""
    number = "".join(c for c in unicodedata.normalize("NFKC", number) if not c.isspace() and c not in "-‐‑–").upper()
    # An identity number is the nation's, whatever the region.
    region = "" if kind == "resident_identity" else region
    message = b"".join(part.encode() + b"\0" for part in ("card", kind, region, number))
    return base64.urlsafe_b64encode(hmac.digest(key, message, hashlib.sha256)).rstrip(b"=").decode()


def read_key(path: pathlib.Path) -> bytes:
    """The key file of the center: one line of 64 hexadecimal digits; lines with # are comments."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    (key,) = [line for line in lines if line and not line.startswith("#")]
    return bytes.fromhex(key)


def verified_claims(receipt: str, options: argparse.Namespace) -> dict:
    """The claims of a receipt that the center signed for us and that is valid now."""
    if len(receipt) > LENGTH_MAX:
        raise Refused("malformed")
    try:
        header = jwt.get_unverified_header(receipt)
    except jwt.DecodeError as error:
        raise Refused("malformed") from error
    # The header may name any algorithm; we know which one it is, and never ask the header.
    if header.get("alg") != "EdDSA":
        raise Refused("wrong_algorithm")
    if header.get("typ") != TYPE:
        raise Refused("provisional" if header.get("typ") == PROVISIONAL_TYPE else "wrong_type")
    if set(header) != {"alg", "typ", "kid"}:
        raise Refused("malformed")
    context = ssl.create_default_context(cafile=options.ca)
    # A long-running checker keeps one client; it caches the key set and fetches it again for a key it does not know.
    client = jwt.PyJWKClient(options.jwks, ssl_context=context, timeout=10)
    try:
        key = client.get_signing_key(header["kid"])
    except jwt.PyJWKClientConnectionError:
        raise
    except jwt.PyJWKClientError as error:
        # Drills, simulators and demonstrations sign with keys of their own, which are not in this set.
        unverified = jwt.decode(receipt, options={"verify_signature": False})
        raise Refused("drill" if unverified.get("iss") == options.drill_issuer else "unknown_key") from error
    try:
        claims = jwt.decode(
            receipt,
            key,
            algorithms=["EdDSA"],
            issuer=options.issuer,
            audience=options.audience,
            options={"require": sorted(ALWAYS), "verify_iat": False},
        )
    except jwt.ExpiredSignatureError as error:
        raise Refused("expired") from error
    except jwt.InvalidIssuerError as error:
        raise Refused("foreign_issuer") from error
    except jwt.InvalidAudienceError as error:
        raise Refused("foreign_audience") from error
    except jwt.InvalidSignatureError as error:
        raise Refused("bad_signature") from error
    except jwt.InvalidTokenError as error:
        raise Refused("malformed") from error
    if not ALWAYS <= set(claims) <= ALWAYS | SOMETIMES or claims["aud"] != options.audience:
        raise Refused("malformed")
    if claims["exp"] - claims["iat"] > VALID_SECONDS_MAX:
        raise Refused("too_long_lived")
    if claims["iat"] > time.time() + CLOCK_AHEAD_SECONDS:
        raise Refused("not_yet_valid")
    return claims


def compare(claims: dict, options: argparse.Namespace) -> None:
    """Every claim against the settlement at hand."""
    if claims["institution"] != options.institution:
        raise Refused("other_institution")
    if claims["transaction"] != options.transaction:
        raise Refused("other_transaction")
    if options.scene not in [claims["scene"], *claims.get("scenes", [])]:
        raise Refused("other_scene")
    mac = card_mac(read_key(options.settlement_key), options.id_kind, options.region, options.card)
    if not hmac.compare_digest(claims["card_mac"], mac):
        raise Refused("other_card")
    if options.amount_fen > claims.get("amount_max_fen", options.amount_fen):
        raise Refused("other_amount")
    if claims["disposition"] == "document_check":
        # A machine's non-match refuses nothing by itself: somebody looks at the document and puts their name to it.
        if not options.document_checked_by:
            raise Refused("document_not_checked")
    elif claims["disposition"] not in ("settle", "settle_flagged"):
        raise Refused("not_for_settlement")


def burn(claims: dict, options: argparse.Namespace) -> None:
    """Takes a use of the receipt, at once or not at all. The same settlement may ask again."""
    database = sqlite3.connect(options.burned, timeout=10, isolation_level=None)
    try:
        database.execute(
            "CREATE TABLE IF NOT EXISTS burned (jti TEXT NOT NULL, settlement TEXT NOT NULL, amount_fen INTEGER NOT NULL, "
            "PRIMARY KEY (jti, settlement)) STRICT"
        )
        database.execute("BEGIN IMMEDIATE")
        uses = dict(database.execute("SELECT settlement, amount_fen FROM burned WHERE jti = ?", (claims["jti"],)))
        if options.settlement in uses:
            if uses[options.settlement] != options.amount_fen:
                raise Refused("other_amount")
        elif len(uses) >= claims.get("uses", 1):
            raise Refused("used")
        else:
            row = (claims["jti"], options.settlement, options.amount_fen)
            database.execute("INSERT INTO burned (jti, settlement, amount_fen) VALUES (?, ?, ?)", row)
        database.execute("COMMIT")
    finally:
        database.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jwks", required=True, help="where the center publishes the keys")
    parser.add_argument("--ca", required=True, help="certificate of the center's authority")
    parser.add_argument("--settlement-key", required=True, type=pathlib.Path, help="key that names cards, from the center")
    parser.add_argument("--burned", required=True, help="database of burned receipts")
    parser.add_argument("--issuer", default="countersign-center")
    parser.add_argument("--drill-issuer", default="countersign-drill")
    parser.add_argument("--audience", default="settlement")
    for name in ("settlement", "institution", "transaction", "scene", "card"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--id-kind", default="social_security_card", choices=["social_security_card", "resident_identity"])
    parser.add_argument("--region", default="")
    parser.add_argument("--amount-fen", required=True, type=int)
    parser.add_argument("--document-checked-by", default="")
    options = parser.parse_args()
    try:
        claims = verified_claims(sys.stdin.read().strip(), options)
        compare(claims, options)
        burn(claims, options)
    except Refused as refused:
        print(json.dumps({"holds": False, "reason": str(refused)}))
        return 1
    except (OSError, ValueError, sqlite3.Error, jwt.PyJWKClientConnectionError) as error:
        print(f"could not check: {error}", file=sys.stderr)
        return 2
    print(json.dumps({"holds": True, "receipt_number": claims["jti"], "decision": claims["decision"]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
