"""A client's side of SCRAM, by scramp."""

import base64

from scramp import ScramClient

from tests.xmpp.messages import PASSWORD, auth, response


def text_of(element):
    """The data in a challenge or a success."""
    return base64.b64decode(str(element)).decode()


def scram_login(client, mechanism, username="juliet", password=PASSWORD, initial=True):
    """Log in; returns the last answer, after checking the server's proof in a success."""
    scram = ScramClient([mechanism], username, password)
    first = scram.get_client_first().encode()
    challenge = client.ask(auth(mechanism, first if initial else ""))
    if not initial:
        challenge = client.ask(response(first))
    scram.set_server_first(text_of(challenge))
    answer = client.ask(response(scram.get_client_final().encode()))
    if answer.name == "success":
        scram.set_server_final(text_of(answer))
    return answer
