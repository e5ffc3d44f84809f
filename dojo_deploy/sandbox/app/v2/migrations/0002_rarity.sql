ALTER TABLE cards ADD COLUMN rarity text NOT NULL DEFAULT 'common';
