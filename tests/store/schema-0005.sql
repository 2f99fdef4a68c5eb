BEGIN TRANSACTION;
CREATE TABLE accounts (
	domain TEXT NOT NULL, 
	username TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	credentials TEXT, 
	changed_at BIGINT, 
	roles JSON NOT NULL, 
	groups JSON NOT NULL, 
	details JSON NOT NULL, 
	PRIMARY KEY (domain, username), 
	CONSTRAINT accounts_name FOREIGN KEY(domain, username) REFERENCES names (domain, username)
);
INSERT INTO "accounts" VALUES('example.com','romeo',1767225600000000,'SCRAM-SHA-256$4096:1HmM+fzCRxW5WUiGWY8FZQ==$z3Rkh2MtM0oqq56gzR8nXJD9viK3oE1gjIT29TLcvMI=:+jXyj3aJEA9x9cxStiHWRKj+mWI5lUkLqFOr6AjE7t0=
SCRAM-SHA-1$4096:PlFtPHIhcXdGsyMeR4q0FA==$GZ+5lZdQHWD+j8A3kU7HbjI2FSE=:i5UJYMMewPbOQPlyGxYerOTAf6Q=',1767225600000000,'["team", "admin"]','["montague"]','{}');
INSERT INTO "accounts" VALUES('example.com','juliet',1767225600000000,'SCRAM-SHA-256$4096:TjNo71Ld1rR+gkvqvVobRA==$FybF0d8V/UwOg86Dg4tMLGyR1nYgyMktDS1ntYTNtOY=:bfx4X1KiKrlL69DDT8T2g3tjmt/5RCjSV5cw0R9IhRs=
SCRAM-SHA-1$4096:Zi09mdNK+ZrrEOmTvITeyw==$g5aSB0TfaBmI6eQE28XgrXD/kj0=:V0HyqBcDTCQDW1iQtPo+bVPiCJc=',1767225600000000,'[]','[]','{"email": "juliet@example.com", "nick": "J\u00fclchen"}');
INSERT INTO "accounts" VALUES('xn--mnchen-3ya.example','nurse',1767225600000000,'SCRAM-SHA-256$4096:fCX2VgucTO0rhIfsoxqzGA==$48EbRaKN8HlGneYEgJXY+/EGpTIjrV6S5r7qtyE84A4=:chjnN4LxKmeLmg7y120q5RaF3IwCx1iTVFg3j3XcxfQ=
SCRAM-SHA-1$4096:4Jk+EjQMjfqAW1rXCjTzlw==$jGMm+iKNN1ZoXb6DO6hGyKj/BCo=:eVWwzvN8vyGILFwNQu88jf14GYI=',1767225600000000,'[]','[]','{}');
INSERT INTO "accounts" VALUES('example.com','mercutio',1767225600000000,'SCRAM-SHA-256$4096:Y4goCktUJ3D4aw+NwR0xEw==$tNS3z80+83DDoGJeLFHgiaj9JrFlxaSAqNhIdUqZHjI=:s71VVefCs05o7kDWvkQNrtDEjeHVH50dMEuXNdqLVrQ=
SCRAM-SHA-1$4096:15H7bLjlFnYBdzv1MyG6dw==$IGbfSevZM9EdLufUermKlpLer98=:kHRZlzkoFQAbVARBog/IP4ce6Wo=',1767225600000000,'[]','[]','{}');
INSERT INTO "accounts" VALUES('example.com','benvolio',1767225600000000,'SCRAM-SHA-256$4096:UnWAcCIox5UsvQPDe8wvIw==$OSEgr94aOolcztY6nQ2oDxuLh5opmNsZ85SmZIGxzd4=:U+cHBnzmC+ITXdLtfwcNFKkRsr05fciRw/RG+jyCpNk=
SCRAM-SHA-1$4096:DW/xwMySb+LXgxbAo9Quvg==$+oiY6lhQ/oqI0MHt9Ed3Ut1Q7F8=:OXIFp5Lqf9xo7UO+Iraqj5TLU74=',1767225600000000,'[]','[]','{}');
INSERT INTO "accounts" VALUES('example.com','peter',1767225600000000,'SCRAM-SHA-256$4096:DhPMoVZ8MKWrRQmyU6A8nA==$DUwosRwm0MHk9IzMBkBS0sIudhtg0FRhphJvIovKXTM=:1+UEVBl5eILvlC3kFYlUWjkcZH7SgYpfPZz1j+t5t8A=
SCRAM-SHA-1$4096:8ZgqK3MpZYPYmxkaYjEKXg==$SvkCVzND/h+nU4ZHsCFD2anjIXw=:IR6dZwU4fX/zqNTHSVLEN1bUbfs=',1767225600000000,'[]','[]','{}');
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
CREATE TABLE api_keys (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id TEXT NOT NULL, 
	digest BLOB NOT NULL, 
	name TEXT NOT NULL, 
	scopes JSON NOT NULL, 
	domain TEXT, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT, 
	revoked_at BIGINT, 
	CONSTRAINT api_keys_id UNIQUE (id), 
	CONSTRAINT api_keys_digest UNIQUE (digest)
);
INSERT INTO "api_keys" VALUES(1,'keykeykey1',X'E8A987F97B609851A77E10D6D48138EF0E518F46B9F1DA1145BA183AD02F9353','portal','["invites:create", "resets:create"]','example.com',1767225600000000,2112825600000000,NULL);
INSERT INTO "api_keys" VALUES(2,'keykeykey2',X'C37EE9C4DF69D2E96C5E9B94C75D7CABC583E7EF6DC65A6C01CA3A8D3F8B7705','old','["invites:create", "invites:read", "invites:edit", "resets:create", "registrations:create"]',NULL,1767225600000000,NULL,1767312000000000);
CREATE TABLE api_requests (
	key_id TEXT NOT NULL, 
	name BLOB NOT NULL, 
	request BLOB NOT NULL, 
	domain TEXT NOT NULL, 
	invite_id TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (key_id, name)
);
INSERT INTO "api_requests" VALUES('keykeykey1',X'6E6E6E6E6E6E6E6E6E6E6E6E6E6E6E6E6E6E6E6E6E6E6E6E6E6E6E6E6E6E6E6E',X'7272727272727272727272727272727272727272727272727272727272727272','example.com','once',1767225600000000);
CREATE TABLE errands (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	domain TEXT NOT NULL, 
	username TEXT NOT NULL, 
	task TEXT NOT NULL, 
	details JSON NOT NULL, 
	node TEXT, 
	at BIGINT NOT NULL, 
	due BIGINT NOT NULL, 
	expires BIGINT, 
	tries INTEGER NOT NULL, 
	answer TEXT
);
INSERT INTO "errands" VALUES(1,'example.com','benvolio','contacts','{"contact": "romeo"}',NULL,1767225600000000,1767225600000000,NULL,0,NULL);
INSERT INTO "errands" VALUES(2,'example.com','abram','exists','{}','component.example.com',1767225600000000,1767225600000000,1767312000000000,0,NULL);
CREATE TABLE hits (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	domain TEXT NOT NULL, 
	name TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	at BIGINT NOT NULL
);
INSERT INTO "hits" VALUES(1,'example.com','registration','192.0.2.1/32',1767225600000000);
INSERT INTO "hits" VALUES(2,'example.com','token-guesses','198.51.100.0/24',1767225600000000);
INSERT INTO "hits" VALUES(3,'example.com','registration','192.0.2.7/32',1767225600000000);
INSERT INTO "hits" VALUES(4,'example.com','registration','192.0.2.7/32',1767225600000000);
CREATE TABLE invites (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	domain TEXT NOT NULL, 
	id TEXT NOT NULL, 
	digest BLOB NOT NULL, 
	kind TEXT NOT NULL, 
	source TEXT NOT NULL, 
	inviter TEXT, 
	username TEXT, 
	roles JSON NOT NULL, 
	groups JSON NOT NULL, 
	note TEXT NOT NULL, 
	uses_allowed INTEGER, 
	uses INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT, 
	revoked_at BIGINT, 
	used_at BIGINT, 
	CONSTRAINT invites_id UNIQUE (domain, id), 
	CONSTRAINT invites_digest UNIQUE (domain, digest), 
	CONSTRAINT invites_uses CHECK (uses_allowed IS NULL OR uses <= uses_allowed)
);
INSERT INTO "invites" VALUES(1,'example.com','account-pending',X'5C106CE4DC8FA4038803A7B68BD74EF1BEBD4C9259290428D83B92B992A2BE03','account','cli',NULL,'paris','["guest"]','["verona", "prince''s"]','for the count
of Paris',1,0,1763769600000000,2112825600000000,NULL,NULL);
INSERT INTO "invites" VALUES(2,'example.com','account-used',X'5F4A51D360A3723408E9E821C55D10BD1921F79AF93733D8B997A489E0687B37','account','cli',NULL,NULL,'[]','[]','',1,1,1763769600000000,2112825600000000,NULL,1767225600000000);
INSERT INTO "invites" VALUES(3,'example.com','account-expired',X'797193E8643A7F6D7142E002BAA5F401133EDB39A592FF7BAC0759CF82583BC6','account','cli',NULL,NULL,'[]','[]','',1,0,1763769600000000,1767139200000000,NULL,NULL);
INSERT INTO "invites" VALUES(4,'example.com','account-revoked',X'0F15DA6B6CB727A9C0459E3FE9704C8DA7FB0AC369DA241982A121127CDE4B02','account','cli',NULL,NULL,'[]','[]','',1,0,1763769600000000,2112825600000000,1767225600000000,NULL);
INSERT INTO "invites" VALUES(5,'example.com','contact-pending',X'9EEB088D6C82FFC3CEDB9885025CBD6F6D0BC18A3615B43901D77F1140868FB1','contact','adhoc:romeo@example.com','romeo',NULL,'[]','[]','',1,0,1763769600000000,2112825600000000,NULL,NULL);
INSERT INTO "invites" VALUES(6,'example.com','contact-used',X'5660471B59A26EBB80A1F751D73029C8E99A8D81A422375AA74B5367F6E5A858','contact','adhoc:romeo@example.com','romeo',NULL,'[]','[]','',1,1,1763769600000000,2112825600000000,NULL,1767225600000000);
INSERT INTO "invites" VALUES(7,'example.com','contact-expired',X'1099AE1F3C247857293F116633D592ED4E63482F2A2D4ADDE68F6BDB7940B9D6','contact','adhoc:romeo@example.com','romeo',NULL,'[]','[]','',1,0,1763769600000000,1767139200000000,NULL,NULL);
INSERT INTO "invites" VALUES(8,'example.com','contact-revoked',X'AF840A6C24C7B3876C7E938C1A825B8AE807C6FF41FE0370E59EA735D2A8A803','contact','adhoc:romeo@example.com','romeo',NULL,'[]','[]','',1,0,1763769600000000,2112825600000000,1767225600000000,NULL);
INSERT INTO "invites" VALUES(9,'example.com','account-and-contact-pending',X'0B7F49394FA47A1A68E0AB67363714A4477F783AC922ADBF07A023007533202C','account-and-contact','adhoc:romeo@example.com','romeo',NULL,'[]','[]','',1,0,1763769600000000,2112825600000000,NULL,NULL);
INSERT INTO "invites" VALUES(10,'example.com','account-and-contact-used',X'342E3786A889E9A753340C288513C25790B23F5B5BF1963CF68416E616637FCD','account-and-contact','adhoc:romeo@example.com','romeo',NULL,'[]','[]','',1,1,1763769600000000,2112825600000000,NULL,1767225600000000);
INSERT INTO "invites" VALUES(11,'example.com','account-and-contact-expired',X'D7E21D83DADC409A4EE4B908870F702549F1F3A9B249B47D7F14EF621B5AFA18','account-and-contact','adhoc:romeo@example.com','romeo',NULL,'[]','[]','',1,0,1763769600000000,1767139200000000,NULL,NULL);
INSERT INTO "invites" VALUES(12,'example.com','account-and-contact-revoked',X'C31FEBADD2912FAA078C99DAE6CCAC9CD18CA906E65641B7AAF1D98227993E29','account-and-contact','adhoc:romeo@example.com','romeo',NULL,'[]','[]','',1,0,1763769600000000,2112825600000000,1767225600000000,NULL);
INSERT INTO "invites" VALUES(13,'example.com','reset-pending',X'082B13190B3B9D752E7E7807E79D73BC74E7BDBDA43DF41A4F85F651F3587319','reset','api:keykeykey1',NULL,'juliet','[]','[]','',1,0,1763769600000000,2112825600000000,NULL,NULL);
INSERT INTO "invites" VALUES(14,'example.com','reset-expired',X'50A580EDA481022490020F33136D700A6B9F1C5DAA29956B164165E72E298FB3','reset','api:keykeykey1',NULL,'juliet','[]','[]','',1,0,1763769600000000,1767139200000000,NULL,NULL);
INSERT INTO "invites" VALUES(15,'example.com','reset-revoked',X'3E94A4622962F70939D91F63444FD4BFFE5F93D8E0FE4253A6CB87BB61F6BBB9','reset','api:keykeykey1',NULL,'juliet','[]','[]','',1,0,1763769600000000,2112825600000000,1767225600000000,NULL);
INSERT INTO "invites" VALUES(16,'example.com','reset-used',X'679B5FF17039C854A1096CABFEF5F4E3B2948F7D39D12546F75A67EBD30F919D','reset','cli',NULL,'benvolio','[]','[]','',1,1,1763769600000000,2112825600000000,NULL,1767225600000000);
INSERT INTO "invites" VALUES(17,'example.com','shared',X'BD6E9EBAA582066C2BBDEF25E6F1D4CBF70A45D047E27948BF31C3E42637EBDC','account','cli',NULL,NULL,'[]','[]','',3,2,1763769600000000,2112825600000000,NULL,1767225600000000);
INSERT INTO "invites" VALUES(18,'example.com','unlimited',X'8BD4A2EF13E0D36D7D52C3EE179ED37223810FCC17B8D0BD13B0CBF26916E6A9','account','web:romeo@example.com','romeo',NULL,'[]','[]','',NULL,1,1763769600000000,NULL,NULL,1767225600000000);
INSERT INTO "invites" VALUES(19,'example.com','once',X'7AA99FEE122B66F7D475543D95EB59933FF359045787898C68C14CA390906F46','account','api:keykeykey1',NULL,NULL,'[]','[]','',1,0,1767225600000000,2112825600000000,NULL,NULL);
CREATE TABLE leases (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	domain TEXT NOT NULL, 
	username TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	hit BIGINT, 
	held JSON, 
	redemption JSON NOT NULL
);
INSERT INTO "leases" VALUES(1,'example.com','sampson',1767225600000000,3,'null','{"account": {"created_at": "2026-01-01T00:00:00+00:00", "roles": ["guest"], "groups": [], "details": {}}, "use": {"domain": "example.com", "username": "sampson", "kind": "account", "at": "2026-01-01T00:00:00+00:00", "door": "web", "invite_id": "unlimited", "inviter": "romeo", "address": "192.0.2.7"}, "notices": [{"domain": "example.com", "username": "romeo", "kind": "registration"}], "operator": false, "contact": "romeo", "roster_limit": 50}');
INSERT INTO "leases" VALUES(2,'example.com','gregory',1767225600000000,4,'null','{"account": {"created_at": "2026-01-01T00:00:00+00:00", "roles": ["guest"], "groups": [], "details": {}}, "use": {"domain": "example.com", "username": "gregory", "kind": "account", "at": "2026-01-01T00:00:00+00:00", "door": "web", "invite_id": "shared", "inviter": null, "address": "192.0.2.7"}, "notices": [{"domain": "example.com", "username": "romeo", "kind": "registration"}], "operator": false, "contact": "romeo", "roster_limit": 50}');
CREATE TABLE names (
	domain TEXT NOT NULL, 
	username TEXT NOT NULL, 
	state TEXT NOT NULL, 
	invite_id TEXT, 
	until BIGINT, 
	PRIMARY KEY (domain, username)
);
INSERT INTO "names" VALUES('example.com','romeo','account',NULL,NULL);
INSERT INTO "names" VALUES('example.com','juliet','account',NULL,NULL);
INSERT INTO "names" VALUES('example.com','tybalt','deleted',NULL,NULL);
INSERT INTO "names" VALUES('xn--mnchen-3ya.example','nurse','account',NULL,NULL);
INSERT INTO "names" VALUES('example.com','paris','reserved','account-pending',2112825600000000);
INSERT INTO "names" VALUES('example.com','mercutio','account',NULL,NULL);
INSERT INTO "names" VALUES('example.com','benvolio','account',NULL,NULL);
INSERT INTO "names" VALUES('example.com','peter','account',NULL,NULL);
INSERT INTO "names" VALUES('example.com','sampson','leased',NULL,NULL);
INSERT INTO "names" VALUES('example.com','gregory','leased',NULL,NULL);
CREATE TABLE notices (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	domain TEXT NOT NULL, 
	username TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	use_seq BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT notices_once UNIQUE (domain, username, kind, use_seq)
);
INSERT INTO "notices" VALUES(1,'example.com','romeo','registration',5,1767225600000000);
INSERT INTO "notices" VALUES(2,'example.com','mercutio','welcome',5,1767225600000000);
INSERT INTO "notices" VALUES(3,'example.com','romeo','registration',7,1767225600000000);
CREATE TABLE roster_changes (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	domain TEXT NOT NULL, 
	username TEXT NOT NULL, 
	jid TEXT NOT NULL, 
	at BIGINT NOT NULL
);
INSERT INTO "roster_changes" VALUES(1,'example.com','romeo','benvolio@example.com',1767225600000000);
CREATE TABLE roster_items (
	domain TEXT NOT NULL, 
	username TEXT NOT NULL, 
	jid TEXT NOT NULL, 
	name TEXT NOT NULL, 
	groups JSON NOT NULL, 
	subscription TEXT NOT NULL, 
	ask BOOLEAN NOT NULL, 
	approved BOOLEAN NOT NULL, 
	request TEXT, 
	listed BOOLEAN NOT NULL, 
	PRIMARY KEY (domain, username, jid), 
	CONSTRAINT roster_items_account FOREIGN KEY(domain, username) REFERENCES accounts (domain, username)
);
INSERT INTO "roster_items" VALUES('example.com','juliet','romeo@example.com','Romeo','["Lovers", "Friends"]','to',0,0,NULL,1);
INSERT INTO "roster_items" VALUES('example.com','juliet','nurse@xn--mnchen-3ya.example','Nurse','[]','none',0,0,NULL,1);
INSERT INTO "roster_items" VALUES('example.com','romeo','juliet@example.com','','[]','from',0,0,NULL,1);
INSERT INTO "roster_items" VALUES('example.com','mercutio','romeo@example.com','','[]','both',0,0,NULL,1);
INSERT INTO "roster_items" VALUES('example.com','romeo','mercutio@example.com','','[]','both',0,0,NULL,1);
INSERT INTO "roster_items" VALUES('example.com','benvolio','romeo@example.com','','[]','both',0,0,NULL,1);
INSERT INTO "roster_items" VALUES('example.com','romeo','benvolio@example.com','','[]','both',0,0,NULL,1);
INSERT INTO "roster_items" VALUES('example.com','peter','juliet@example.com','','[]','none',1,0,NULL,1);
INSERT INTO "roster_items" VALUES('example.com','juliet','peter@example.com','','[]','none',0,0,'<presence type=''subscribe'' from=''peter@example.com'' to=''juliet@example.com''/>',0);
CREATE TABLE session_ends (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	domain TEXT NOT NULL, 
	username TEXT NOT NULL, 
	at BIGINT NOT NULL
);
INSERT INTO "session_ends" VALUES(1,'example.com','tybalt',1767225600000000);
INSERT INTO "session_ends" VALUES(2,'example.com','benvolio',1767225600000000);
CREATE TABLE settings (
	name TEXT NOT NULL, 
	value BLOB NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "settings" VALUES('server_key',X'00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF');
CREATE TABLE uses (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	domain TEXT NOT NULL, 
	username TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	door TEXT NOT NULL, 
	invite_id TEXT, 
	address TEXT
, inviter TEXT);
INSERT INTO "uses" VALUES(1,'example.com','romeo','account',1767225600000000,'c2s',NULL,'192.0.2.1',NULL);
INSERT INTO "uses" VALUES(2,'example.com','juliet','account',1767225600000000,'c2s',NULL,'192.0.2.1',NULL);
INSERT INTO "uses" VALUES(3,'example.com','tybalt','account',1767225600000000,'c2s',NULL,'192.0.2.1',NULL);
INSERT INTO "uses" VALUES(4,'xn--mnchen-3ya.example','nurse','account',1767225600000000,'c2s',NULL,'192.0.2.1',NULL);
INSERT INTO "uses" VALUES(5,'example.com','mercutio','account',1767225600000000,'c2s','account-used','192.0.2.1',NULL);
INSERT INTO "uses" VALUES(6,'example.com','mercutio','contact',1767225600000000,'c2s','contact-used',NULL,'romeo');
INSERT INTO "uses" VALUES(7,'example.com','benvolio','account-and-contact',1767225600000000,'c2s','account-and-contact-used','192.0.2.1','romeo');
INSERT INTO "uses" VALUES(8,'example.com','benvolio','reset',1767225600000000,'web','reset-used',NULL,NULL);
INSERT INTO "uses" VALUES(9,'example.com','peter','account',1767225600000000,'c2s','shared','192.0.2.1',NULL);
CREATE INDEX invites_status ON invites (domain, seq, revoked_at, uses_allowed, uses, expires_at);
CREATE INDEX invites_username ON invites (domain, username) WHERE username IS NOT NULL;
CREATE INDEX invites_expiry ON invites (domain, expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX invites_revocation ON invites (domain, revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX invites_used_up ON invites (domain, used_at) WHERE uses >= uses_allowed;
CREATE INDEX names_until ON names (domain, until) WHERE until IS NOT NULL;
CREATE INDEX uses_invite ON uses (domain, invite_id);
CREATE INDEX uses_username ON uses (domain, username);
CREATE INDEX uses_with_address ON uses (domain, at) WHERE address IS NOT NULL;
CREATE INDEX hits_key ON hits (domain, name, "key", at);
CREATE INDEX hits_age ON hits (domain, name, at);
CREATE INDEX roster_items_jid ON roster_items (jid);
CREATE INDEX roster_changes_age ON roster_changes (at);
CREATE INDEX invites_inviter ON invites (domain, inviter, seq) WHERE inviter IS NOT NULL;
CREATE INDEX notices_age ON notices (at);
CREATE INDEX api_requests_at ON api_requests (at);
CREATE INDEX leases_age ON leases (domain, at);
CREATE INDEX errands_due ON errands (domain, due);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('uses',9);
INSERT INTO "sqlite_sequence" VALUES('hits',4);
INSERT INTO "sqlite_sequence" VALUES('session_ends',2);
INSERT INTO "sqlite_sequence" VALUES('invites',19);
INSERT INTO "sqlite_sequence" VALUES('notices',3);
INSERT INTO "sqlite_sequence" VALUES('roster_changes',1);
INSERT INTO "sqlite_sequence" VALUES('api_keys',2);
INSERT INTO "sqlite_sequence" VALUES('leases',2);
INSERT INTO "sqlite_sequence" VALUES('errands',2);
COMMIT;
