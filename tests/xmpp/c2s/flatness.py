"""How much memory a door keeps of streams that are over: a program, run by the fuzz test.

Standard input is a JSON list of conversations, each a list of segments in base64. Standard
output is how many streams there were, and by how many bytes the memory has grown over them.
"""

import base64
import gc
import json
import sys
import tracemalloc

from twisted.logger import globalLogBeginner

from tests.xmpp.door import Listener
from tests.xmpp.messages import TOKEN

PASSES = 10


def converse(listener, segments):
    """One stream, from its beginning to its end."""
    client = listener.connect()
    for segment in segments:
        client.send(segment)
    client.lose()


def main():
    """Once to fill what is bounded, such as caches and counters, and then to measure."""
    globalLogBeginner.beginLoggingTo([lambda event: None], redirectStandardIO=False)
    conversations = [
        [base64.b64decode(segment) for segment in segments] for segments in json.load(sys.stdin)
    ]
    listener = Listener()
    listener.add_account()
    listener.add_invite(TOKEN, uses_allowed=None)
    tracemalloc.start()
    sizes = []
    for _ in range(2):
        for _ in range(PASSES if sizes else 2):
            for segments in conversations:
                converse(listener, segments)
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])
    json.dump([PASSES * len(conversations), sizes[1] - sizes[0]], sys.stdout)


if __name__ == "__main__":
    main()
