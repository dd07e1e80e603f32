/** Owns: counting the transactions that a database has committed, from the log that SQLite writes ahead. */
import { readFileSync } from "node:fs";

const headerBytes = 32;
const frameBytes = 24;

/**
 * A frame of the log holds one page. That of the last page of a transaction says how large the database
 * is then, the others say 0; those left over from before the log began anew bear another salt.
 * @param database path of one that nobody has tidied up since it was made, so that its log is whole
 */
export function commitsOf(database: string): number {
  const log = readFileSync(`${database}-wal`);
  if (log.length < headerBytes) return 0;
  const pageBytes = log.readUInt32BE(8);
  const salt = log.subarray(16, 24);
  let commits = 0;
  for (let at = headerBytes; at + frameBytes + pageBytes <= log.length; at += frameBytes + pageBytes) {
    if (!log.subarray(at + 8, at + 16).equals(salt)) break;
    if (log.readUInt32BE(at + 4) !== 0) commits++;
  }
  return commits;
}
