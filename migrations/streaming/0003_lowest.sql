-- Lines of the smallest picture that an asset has so far; absent of sound alone. A plan that does
-- not include even that one waits for a smaller one.

alter table streaming.asset add column lowest int check (lowest > 0);
