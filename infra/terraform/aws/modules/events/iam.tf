# Who reads and writes is said by the secrets' users: SASL knows no roles.
