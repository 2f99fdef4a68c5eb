"""Whoever registers cannot tell the gateway from the embedded domain.

These are the tests of the door once more; left out are those that log in or say good-bye,
as a server would answer that.
"""

import pytest

from tests.xmpp import door
from tests.xmpp.c2s import (
    test_attacks,
    test_contract_registration,
    test_contract_streams,
    test_fields_and_resets,
    test_network_limits,
    test_proxy_protocol,
    test_register,
    test_slow_store,
    test_stream_errors,
    test_time_outs,
    test_traps,
)
from tests.xmpp.gateway.door import AnsweringListener

MODULES = (
    door,
    test_attacks,
    test_contract_registration,
    test_contract_streams,
    test_fields_and_resets,
    test_network_limits,
    test_proxy_protocol,
    test_register,
    test_stream_errors,
    test_time_outs,
    test_traps,
    test_slow_store,
)


class InFront:
    """Puts an upstream server at each door of a test case."""

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


class OrderTests(InFront, test_slow_store.OrderTests):
    test_closed_meanwhile = None


class LossTests(InFront, test_slow_store.LossTests):
    test_lost_in_login = test_lost_in_bind = test_failure_after_loss = None


class InjectionTests(InFront, test_traps.InjectionTests):
    test_trap_1_after_auth = test_trap_1_after_auth_split_anywhere = None


class HeaderTests(InFront, test_traps.HeaderTests):
    test_trap_3_stanza_namespaces = None


class XmlTests(InFront, test_traps.XmlTests):
    pass


class LocalpartTests(InFront, test_traps.LocalpartTests):
    pass


class SizeTests(InFront, test_stream_errors.SizeTests):
    pass


class EncodingTests(InFront, test_stream_errors.EncodingTests):
    pass


class EndTests(InFront, test_stream_errors.EndTests):
    test_stanzas_before_login = test_second_header = test_nothing_changes_after_an_error = None
    test_client_closes = test_client_reports_an_error = test_connection_lost_at_any_time = None


class StreamTests(InFront, test_network_limits.StreamTests):
    test_given_back_on_login = test_logged_in_without_a_session = None


class GuessTests(InFront, test_network_limits.GuessTests):
    pass


class RegistrationTests(InFront, test_network_limits.RegistrationTests):
    pass


class TlsTests(InFront, test_time_outs.TlsTests):
    pass


class TimeOutTests(InFront, test_time_outs.PatienceTests):
    test_login_without_binding = test_login_without_new_header = None


class UnreadTests(InFront, test_attacks.UnreadTests):
    test_session = test_filled_by_others = None


@pytest.mark.alone
class TimeTests(InFront, test_attacks.TimeTests):
    test_long_names = test_long_resource = test_many_lines = None


class ProxyTests(InFront, test_proxy_protocol.ProxyTests):
    test_logins = None
