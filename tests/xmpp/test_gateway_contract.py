"""Whoever registers cannot tell the gateway from the embedded domain.

These are the tests of the door once more; left out are those that log in or say good-bye,
as a server would answer that.
"""

from tests.xmpp import (
    door,
    test_contract_registration,
    test_contract_streams,
    test_fields_and_resets,
    test_register,
    test_waiting,
)
from tests.xmpp.gatewaydoor import AnsweringListener

MODULES = (
    door,
    test_contract_registration,
    test_contract_streams,
    test_fields_and_resets,
    test_register,
    test_waiting,
)


class InFront:
    """Puts a server behind each door of a test case."""

    def setUp(self):
        for module in MODULES:
            if hasattr(module, "Listener"):
                self.patch(module, "Listener", AnsweringListener)
        super().setUp()


class FormTests(InFront, test_contract_registration.FormTests):
    pass


class SubmissionTests(InFront, test_contract_registration.SubmissionTests):
    test_point_10_escaped_password = None


class TokenTests(InFront, test_contract_registration.TokenTests):
    pass


class AnswerTests(InFront, test_contract_registration.AnswerTests):
    test_point_17_login_on_the_same_stream = None
    test_point_17_immediate_reconnect = None


class FeatureTests(InFront, test_contract_streams.FeatureTests):
    pass


class StartTlsTests(InFront, test_contract_streams.StartTlsTests):
    test_point_04_direct_tls = None


class AddressTests(InFront, test_contract_streams.AddressTests):
    pass


class PatienceTests(InFront, test_contract_streams.PatienceTests):
    pass


class FieldTests(InFront, test_fields_and_resets.FieldTests):
    pass


class ResetTests(InFront, test_fields_and_resets.ResetTests):
    test_reset = test_reset_between_login_and_bind = test_sessions_end = None


class RefusalTests(InFront, test_register.RefusalTests):
    pass


class OpenTests(InFront, test_register.OpenTests):
    test_open_registration = None


class OrderTests(InFront, test_waiting.OrderTests):
    test_closed_meanwhile = None


class LossTests(InFront, test_waiting.LossTests):
    test_lost_in_login = test_lost_in_bind = test_failure_after_loss = None
