/**
 * SASLprep (RFC 4013), as far as user names and passwords of people and devices need it: other spaces become a space,
 * invisible characters go, the rest is normalised to NFKC, control and unassigned characters are refused.
 *
 * Left out: the rule about right-to-left text, which only ever refuses. A client that keeps to it sends nothing that
 * this version would turn into something else.
 */

/** Undefined: it has characters that it may not have, or nothing is left of it. */
export function saslprep(text: string): string | undefined {
  const prepared = text.replace(OTHER_SPACES, ' ').replace(MAPPED_TO_NOTHING, '').normalize('NFKC');
  return prepared === '' || PROHIBITED.test(prepared) ? undefined : prepared;
}

/** RFC 3454 C.1.2. */
const OTHER_SPACES = /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g;
/** RFC 3454 B.1; alternatives, since some of them join their neighbours. */
const MAPPED_TO_NOTHING =
  /\u00ad|\u034f|\u1806|\u180b|\u180c|\u180d|\u200b|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/g;
/** Control, surrogate, private and unassigned characters; those that change display or only annotate: RFC 3454 C.2 to C.9, A.1 (NFKC leaves none of C.8's two combining marks). */
const PROHIBITED =
  /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\u2028\u2029\u200e\u200f\u202a-\u202e\u206a-\u206f\u2ff0-\u2ffb\ufff9-\ufffd\u{e0001}\u{e0020}-\u{e007f}]/u;
