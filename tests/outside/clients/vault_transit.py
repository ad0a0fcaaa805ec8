"""A client of Vault's transit engine in Python: hvac, unmodified.

Keys of every kind, encrypt and decrypt alone and in batches, rotate, rewrap, data keys, sign and
verify, HMAC, hashes, random bytes, export, trim, delete. NEXUS_URL and NEXUS_TOKEN (kms:view,
kms:manage, kms:use) come from the environment; so does the CA (REQUESTS_CA_BUNDLE).
"""

import base64
import hashlib
import os
import secrets

import hvac

BASE = os.environ["NEXUS_URL"]
TOKEN = os.environ["NEXUS_TOKEN"]
# Names that no run before has used.
RUN = secrets.token_hex(4)


def check(claim, words, seen=None):
    assert claim, f"{words}: {seen!r}"
    print("ok:", words)


def b64(text):
    return base64.b64encode(text.encode()).decode()


def refused(kind, ask, words):
    try:
        seen = ask()
    except kind:
        print("ok:", words)
        return
    raise AssertionError(f"{words}: {seen!r}")


def encryption(transit):
    for kind in ("aes256-gcm96", "chacha20-poly1305"):
        name = f"seal-{kind}-{RUN}"
        transit.create_key(name=name, key_type=kind)
        made = transit.encrypt_data(name=name, plaintext=b64("a lamp"))["data"]["ciphertext"]
        check(made.startswith("vault:v1:"), f"{kind} encrypts", made)
        opened = transit.decrypt_data(name=name, ciphertext=made)["data"]["plaintext"]
        check(opened == b64("a lamp"), f"{kind} decrypts", opened)
        transit.rotate_key(name=name)
        anew = transit.rewrap_data(name=name, ciphertext=made)["data"]["ciphertext"]
        check(anew.startswith("vault:v2:"), f"{kind} rewraps", anew)
        opened = transit.decrypt_data(name=name, ciphertext=anew)["data"]["plaintext"]
        check(opened == b64("a lamp"), f"{kind} decrypts what it has rewrapped", opened)
        transit.update_key_configuration(name=name, min_decryption_version=2)
        refused(
            hvac.exceptions.InvalidRequest,
            lambda: transit.decrypt_data(name=name, ciphertext=made),
            f"{kind} refuses a version that may not decrypt",
        )
        transit.trim_key(name=name, min_version=2)
    batch = [{"plaintext": b64(text)} for text in ("one", "two", "three")]
    sealed = transit.encrypt_data(name=name, plaintext=None, batch_input=batch)
    sealed = sealed["data"]["batch_results"]
    opened = transit.decrypt_data(name=name, ciphertext=None, batch_input=sealed)
    opened = [item["plaintext"] for item in opened["data"]["batch_results"]]
    check(opened == [item["plaintext"] for item in batch], "a batch comes back", opened)


def derivation(transit):
    transit.create_key(name=f"derived-{RUN}", derived=True)
    context = b64("tenant seven")
    made = transit.encrypt_data(name=f"derived-{RUN}", plaintext=b64("x"), context=context)
    made = made["data"]["ciphertext"]
    opened = transit.decrypt_data(name=f"derived-{RUN}", ciphertext=made, context=context)
    check(opened["data"]["plaintext"] == b64("x"), "a derived key decrypts in its context")
    refused(
        hvac.exceptions.InvalidRequest,
        lambda: transit.decrypt_data(name=f"derived-{RUN}", ciphertext=made, context=b64("eight")),
        "a derived key refuses another context",
    )


def data_keys(transit):
    transit.create_key(name=f"wrapping-{RUN}")
    made = transit.generate_data_key(name=f"wrapping-{RUN}", key_type="plaintext", bits=256)["data"]
    opened = transit.decrypt_data(name=f"wrapping-{RUN}", ciphertext=made["ciphertext"])
    check(opened["data"]["plaintext"] == made["plaintext"], "a data key can be unwrapped")
    made = transit.generate_data_key(name=f"wrapping-{RUN}", key_type="wrapped")["data"]
    check("plaintext" not in made, "a wrapped data key is not shown", made)


def signatures(transit):
    for kind in ("ed25519", "ecdsa-p256", "rsa-2048"):
        name = f"sign-{kind}-{RUN}"
        transit.create_key(name=name, key_type=kind)
        signed = transit.sign_data(name=name, hash_input=b64("a claim"))["data"]["signature"]
        seen = transit.verify_signed_data(name=name, hash_input=b64("a claim"), signature=signed)
        check(seen["data"]["valid"], f"{kind} verifies what it signed", signed)
        seen = transit.verify_signed_data(name=name, hash_input=b64("other"), signature=signed)
        check(not seen["data"]["valid"], f"{kind} does not verify another input")
        shown = transit.read_key(name=name)["data"]
        check("public_key" in shown["keys"]["1"], f"{kind} shows its public key", shown)
    digest = base64.b64encode(hashlib.sha256(b"a claim").digest()).decode()
    signed = transit.sign_data(
        name=f"sign-ecdsa-p256-{RUN}", hash_input=digest, prehashed=True, marshaling_algorithm="jws"
    )["data"]["signature"]
    seen = transit.verify_signed_data(
        name=f"sign-ecdsa-p256-{RUN}",
        hash_input=b64("a claim"),
        signature=signed,
        marshaling_algorithm="jws",
    )
    check(seen["data"]["valid"], "a digest and its message have one signature", signed)
    signed = transit.sign_data(
        name=f"sign-rsa-2048-{RUN}", hash_input=b64("a claim"), signature_algorithm="pkcs1v15"
    )["data"]["signature"]
    seen = transit.verify_signed_data(
        name=f"sign-rsa-2048-{RUN}",
        hash_input=b64("a claim"),
        signature=signed,
        signature_algorithm="pkcs1v15",
    )
    check(seen["data"]["valid"], "RSA signs by PKCS #1 v1.5, too", signed)


def questions(transit):
    transit.create_key(name=f"mac-{RUN}")
    made = transit.generate_hmac(name=f"mac-{RUN}", hash_input=b64("a message"), algorithm="sha2-256")
    made = made["data"]["hmac"]
    seen = transit.verify_signed_data(name=f"mac-{RUN}", hash_input=b64("a message"), hmac=made)
    check(seen["data"]["valid"], "an HMAC is verified", made)
    seen = transit.hash_data(hash_input=b64("abc"), algorithm="sha2-256")["data"]["sum"]
    check(seen == hashlib.sha256(b"abc").hexdigest(), "a hash is what Python says", seen)
    seen = transit.generate_random_bytes(n_bytes=24)["data"]["random_bytes"]
    check(len(base64.b64decode(seen)) == 24, "random bytes are as many as asked for", seen)


def keys(vault):
    transit = vault.secrets.transit
    transit.create_key(name=f"open-{RUN}", exportable=True)
    seen = transit.export_key(name=f"open-{RUN}", key_type="encryption-key")["data"]["keys"]
    check(len(base64.b64decode(seen["1"])) == 32, "an exportable key leaves", seen)
    transit.create_key(name=f"closed-{RUN}")
    refused(
        hvac.exceptions.Forbidden,
        lambda: transit.export_key(name=f"closed-{RUN}", key_type="encryption-key"),
        "another key does not leave",
    )
    # Vault takes the method LIST, and a GET that says so.
    seen = transit.list_keys()["data"]["keys"]
    check({f"open-{RUN}", f"closed-{RUN}"} <= set(seen), "keys are listed", seen)
    asked = vault.adapter.get("/v1/transit/keys", params={"list": "true"})["data"]["keys"]
    check(asked == seen, "and the other way of asking gives the same", asked)
    refused(
        hvac.exceptions.InvalidRequest,
        lambda: transit.delete_key(name=f"open-{RUN}"),
        "a key is not deleted before that is allowed",
    )
    transit.update_key_configuration(name=f"open-{RUN}", deletion_allowed=True)
    transit.delete_key(name=f"open-{RUN}")
    refused(
        hvac.exceptions.InvalidPath, lambda: transit.read_key(name=f"open-{RUN}"), "a deleted key is gone"
    )


def main():
    vault = hvac.Client(url=BASE, token=TOKEN)
    check(vault.sys.read_health_status(method="GET")["initialized"], "it is initialized")
    transit = vault.secrets.transit
    encryption(transit)
    derivation(transit)
    data_keys(transit)
    signatures(transit)
    questions(transit)
    keys(vault)


main()
