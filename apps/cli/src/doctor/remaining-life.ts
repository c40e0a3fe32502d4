// How much of a certificate's life is left, judged by its share: days say nothing about a certificate that lives for hours.
import { formatDuration } from '@keyline/kernel';
import { fail, ok, warn, type Finding } from './finding.ts';

/** Keyline renews at a third of the lifetime left; below this share something kept it from doing so. */
const smallShare = 0.25;

/** @param advice what renews it */
export function judgeRemainingLife(given: {
  check: string;
  what: string;
  /** Epoch milliseconds. */
  notBefore: number;
  notAfter: number;
  now: number;
  advice: string;
}): Finding {
  const { check, what, notBefore, notAfter, now, advice } = given;
  const left = notAfter - now;
  const share = left / (notAfter - notBefore);
  if (left <= 0) return fail(check, `${what} expired ${formatDuration(-left)} ago`, advice);
  if (now < notBefore) {
    return fail(
      check,
      `${what} is valid only in ${formatDuration(notBefore - now)}`,
      'Check the clocks.',
    );
  }
  const words = `${what} is good for ${formatDuration(left)}`;
  return share < smallShare
    ? warn(check, `${words}, ${String(Math.round(share * 100))} % of its life`, advice)
    : ok(check, words);
}
