// Conditional requests (RFC 9110 §13): whether what a client has is still what there is.
import type { IncomingHttpHeaders } from 'node:http';

/** `send`: as if nothing had been asked. */
export type ConditionVerdict = 'send' | 'not-modified' | 'precondition-failed';

interface Current {
  /** Entity tag with its quotes, strong. */
  readonly etag: string;
  /** Epoch milliseconds; what is below a second does not count. */
  readonly modifiedAt: number;
}

/** Of GET and HEAD, in the order of RFC 9110 §13.2.2. Conditions of other methods are not about what they answer with. */
export function judgeConditions(
  request: { readonly method: string; readonly headers: IncomingHttpHeaders },
  { etag, modifiedAt }: Current,
): ConditionVerdict {
  const { method, headers } = request;
  if (method !== 'GET' && method !== 'HEAD') return 'send';
  const ifMatch = headers['if-match'];
  const ifNoneMatch = headers['if-none-match'];
  const seconds = Math.floor(modifiedAt / 1000);
  if (ifMatch !== undefined) {
    // §13.1.1: strong comparison, so that a weak tag never matches.
    if (!lists(ifMatch, etag, 'strong')) return 'precondition-failed';
  } else {
    const unmodifiedSince = parseHttpDate(headers['if-unmodified-since']);
    if (unmodifiedSince !== undefined && seconds > unmodifiedSince) return 'precondition-failed';
  }
  if (ifNoneMatch !== undefined) return lists(ifNoneMatch, etag, 'weak') ? 'not-modified' : 'send';
  // §13.1.3: only without If-None-Match, and an invalid date is ignored.
  const modifiedSince = parseHttpDate(headers['if-modified-since']);
  return modifiedSince !== undefined && seconds <= modifiedSince ? 'not-modified' : 'send';
}

/** A member that is no entity tag matches nothing. */
function lists(field: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (field.trim() === '*') return true;
  // §8.8.3: a comma may stand within the quotes.
  for (const [, weak, tag] of field.matchAll(
    /(?:^|,)\s*(W\/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?=,|$)/g,
  )) {
    if (tag === etag && (weak === undefined || comparison === 'weak')) return true;
  }
  return false;
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const time = '(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)';
/** §5.6.7: the one in use, and two that are obsolete and must be understood. */
const dateForms = [
  new RegExp(`^[A-Z][a-z]{2}, (?<day>\\d\\d) (?<month>[A-Z][a-z]{2}) (?<year>\\d{4}) ${time} GMT$`),
  new RegExp(
    `^[A-Z][a-z]{5,8}, (?<day>\\d\\d)-(?<month>[A-Z][a-z]{2})-(?<year>\\d\\d) ${time} GMT$`,
  ),
  new RegExp(`^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \\d]\\d) ${time} (?<year>\\d{4})$`),
];

/** Seconds since the epoch; undefined for what is no HTTP-date. */
export function parseHttpDate(text: string | undefined): number | undefined {
  if (text === undefined || text.length > 40) return undefined;
  for (const form of dateForms) {
    const groups = form.exec(text)?.groups;
    if (groups === undefined) continue;
    const at = (name: string): number => Number(groups[name]);
    const month = months.indexOf(groups['month'] ?? '');
    const [day, hour, minute, second] = [at('day'), at('hour'), at('minute'), at('second')];
    if (month < 0 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
      return undefined;
    return Date.UTC(fullYear(groups['year'] ?? ''), month, day, hour, minute, second) / 1000;
  }
  return undefined;
}

/** §5.6.7: two digits that seem to be more than 50 years ahead are of the past. */
function fullYear(text: string): number {
  if (text.length === 4) return Number(text);
  const now = new Date().getUTCFullYear();
  const year = Math.floor(now / 100) * 100 + Number(text);
  return year > now + 50 ? year - 100 : year;
}

export function formatHttpDate(instant: number): string {
  return new Date(instant).toUTCString();
}
