"""A client of metasrv's original contract, greptime.v1.meta.Lock, that needs nothing but grpcio.

The four messages are so small that they are written and read by hand here. A project that has protoc generates them from
proto/greptime/v1/meta/lock.proto instead.
"""

import grpc

# A waiting call has no deadline, so it is these pings that find out when the server is gone.
OPTIONS = [
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
]


class BearerToken(grpc.AuthMetadataPlugin):
    """Sends what a function returns with each call, so that a token can be replaced while the client lives."""

    def __init__(self, read):
        self._read = read

    def __call__(self, context, callback):
        callback((("authorization", f"Bearer {self._read()}"),), None)


class LockClient:
    """Locks and unlocks; one client serves any number of threads.

    ca, cert and key are PEM, as bytes: the authority to trust, and what this client shows of itself. read_token returns the
    token to use now. A token needs ca: gRPC sends none without TLS.
    """

    def __init__(self, address, ca=None, cert=None, key=None, read_token=None):
        if ca is not None:
            credentials = grpc.ssl_channel_credentials(ca, key, cert)
            if read_token is not None:
                token = grpc.metadata_call_credentials(BearerToken(read_token))
                credentials = grpc.composite_channel_credentials(credentials, token)
            self._channel = grpc.secure_channel(address, credentials, options=OPTIONS)
        elif read_token is not None:
            raise ValueError("a token without TLS could be read by others on its way: give ca")
        else:
            self._channel = grpc.insecure_channel(address, options=OPTIONS)
        self._lock = self._channel.unary_unary(
            "/greptime.v1.meta.Lock/Lock", encode_lock_request, decode_lock_response
        )
        self._unlock = self._channel.unary_unary("/greptime.v1.meta.Lock/Unlock", encode_unlock_request, bytes)

    def lock(self, name, expire_secs, deadline=None):
        """Waits for a lock and returns its key. It is held for expire_secs from the grant, and never renewed.

        The deadline, in seconds, is for the whole call, waiting included. Without one the call waits as long as it takes.
        """
        return self._lock((name, expire_secs), timeout=deadline)

    def unlock(self, key):
        """Releases the lock that the key holds. Succeeds as well when it has expired or was released before."""
        self._unlock(key, timeout=10)

    def close(self):
        self._channel.close()


def encode_lock_request(request):
    name, expire_secs = request
    return bytes_field(2, name.encode()) + varint_field(3, expire_secs)


def decode_lock_response(data):
    return fields(data)[2]


def encode_unlock_request(key):
    return bytes_field(2, key)


# The protobuf wire format, as far as it is needed: each field is a tag, which is its number and kind, and a value.
VARINT, BYTES = 0, 2
FIXED_LENGTHS = {1: 8, 5: 4}


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint_field(number, value):
    return varint(number << 3 | VARINT) + varint(value & (1 << 64) - 1)


def bytes_field(number, value):
    return varint(number << 3 | BYTES) + varint(len(value)) + value


def fields(data):
    """The fields of a message by number. Unknown ones are among them: a newer server may send more."""
    found, at = {}, 0

    def read_varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = read_varint()
        kind = tag & 7
        if kind == VARINT:
            found[tag >> 3] = read_varint()
            continue
        if kind != BYTES and kind not in FIXED_LENGTHS:
            raise ValueError(f"a field of kind {kind}, which no proto3 message has")
        length = FIXED_LENGTHS.get(kind) or read_varint()
        found[tag >> 3] = data[at : at + length]
        at += length
    return found
