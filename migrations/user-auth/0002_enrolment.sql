-- Somebody who has proven enough for an account without a second factor, where the tenant asks for
-- two: this flow ends only with one being set up, and never takes the place of one that is there.
alter table user_auth.flow add column enrols boolean not null default false;
