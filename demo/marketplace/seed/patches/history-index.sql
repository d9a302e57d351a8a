-- Prepared by the owners for the day the history has grown ({incident}).
CREATE INDEX history_by_customer ON history (customer);
CREATE INDEX history_by_page ON history (page, id);
