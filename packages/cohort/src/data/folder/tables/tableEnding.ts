/** Tells tables of images from folders by their names. */

/** Endings of tables of images; whatever else has a path is a folder. */
export const TABLE_ENDING = /\.(?:csv|tsv|tab|psv|txt|jsonl|ndjson)$/i;
