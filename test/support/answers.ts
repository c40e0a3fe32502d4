// What an answer of the API has to be, with its text in the message when it is not.
import type { Answer } from './rest-client.ts';

/** @throws {Error} with the sentence when it does not hold */
export function must(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new Error(sentence);
}

/** The answer, when it has one of these statuses. @throws {Error} with what the service said */
export function expectStatus(answer: Answer, ...statuses: readonly number[]): Answer {
  must(
    statuses.includes(answer.status),
    `The service answered ${answer.status} instead of ${statuses.join(' or ')}: ${answer.text.slice(0, 500)}`,
  );
  return answer;
}

/**
 * A refusal with this code: a whole problem document (RFC 9457), not just a status.
 * @returns status and code, for a line that shows it
 * @throws {Error} with what the service said
 */
export function expectRefusal(answer: Answer, code: string): string {
  const { status, headers, body } = answer;
  const isDocument =
    headers['content-type']?.toString().startsWith('application/problem+json') === true &&
    body.status === status &&
    typeof body.title === 'string' &&
    body.type === `urn:keyline:error:${code.toLowerCase().replaceAll('_', '-')}` &&
    typeof body.detail === 'string';
  must(
    status >= 400 && isDocument && body.code === code,
    `The service answered ${status} instead of refusing with ${code}: ${answer.text.slice(0, 500)}`,
  );
  return `${status} ${code}`;
}
