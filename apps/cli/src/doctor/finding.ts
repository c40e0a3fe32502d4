// What a check of the doctor answers.

export type Level = 'ok' | 'warn' | 'fail';

export interface Finding {
  /** What was looked at: `api`, `crl issuing-1`. */
  readonly check: string;
  readonly level: Level;
  readonly message: string;
  /** What to do; absent when all is well. */
  readonly advice?: string;
}

export function ok(check: string, message: string): Finding {
  return { check, level: 'ok', message };
}

export function warn(check: string, message: string, advice: string): Finding {
  return { check, level: 'warn', message, advice };
}

export function fail(check: string, message: string, advice: string): Finding {
  return { check, level: 'fail', message, advice };
}
