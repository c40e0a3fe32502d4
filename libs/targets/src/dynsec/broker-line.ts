// The line to one broker: payloads out, answers in, refusals as errors, and a pace that keeps each payload short for the broker.
import { isKeylineError, KeylineError, messageOf } from '@keyline/kernel';
import type { DynsecAnswer, DynsecCommand, DynsecSender } from './dynsec-messages.ts';

export interface BrokerLine {
  readonly name: string;
  /** One payload. @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED when answers are missing */
  readonly sendAll: (commands: readonly DynsecCommand[]) => Promise<readonly DynsecAnswer[]>;
  /** One payload; an answer with an error that is not tolerated is thrown. @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED */
  readonly ask: (
    commands: readonly DynsecCommand[],
    tolerates?: (answer: DynsecAnswer, position: number) => boolean,
  ) => Promise<readonly DynsecAnswer[]>;
  refused(command: DynsecCommand | undefined, answer: DynsecAnswer): KeylineError;
  /** How many commands the next payload should have. */
  payloadSize(): number;
  /** Milliseconds that the payload under way has waited for its answers; 0 when there is none. */
  unansweredFor(): number;
}

// A broker does one payload at a time and nothing else meanwhile. Mosquitto 2.0 writes its whole state for each command, 16 ms with
// 20,000 clients; ours and Mosquitto 2.1 write once a payload.
const longestPayload = 25;
const firstPayload = 16;
const largestPayload = 400;

export function openBrokerLine(options: {
  readonly name: string;
  readonly client: DynsecSender;
}): BrokerLine {
  const { name, client } = options;
  let size = firstPayload;
  let askedAt: number | undefined;
  /** The fastest answer so far: what the way there and back takes, of which the broker knows nothing. */
  let way = Infinity;

  function measure(commands: number, milliseconds: number): void {
    const fitting = (commands / Math.max(milliseconds - way, 0.1)) * longestPayload;
    // Slowly up, at once down: what counts is the longest stall.
    size = Math.round(Math.max(1, Math.min(largestPayload, fitting, size * 2)));
  }

  async function sendAll(commands: readonly DynsecCommand[]): Promise<readonly DynsecAnswer[]> {
    let answers;
    const begun = performance.now();
    askedAt = begun;
    try {
      answers = await client.send(commands);
    } catch (cause) {
      way = Infinity;
      if (isKeylineError(cause)) throw cause;
      throw new KeylineError(
        'TARGET_UNREACHABLE',
        `The broker "${name}" did not answer (${messageOf(cause)}). It is tried again until it does.`,
        { cause, context: { target: name } },
      );
    } finally {
      askedAt = undefined;
    }
    way = Math.min(way, performance.now() - begun);
    // Questions are answered from memory and say nothing of what a change costs.
    if (
      commands.some(({ command }) => /^(?:create|modify|delete|enable|disable|add)/.test(command))
    ) {
      measure(commands.length, performance.now() - begun);
    }
    if (answers.length !== commands.length) {
      throw new KeylineError(
        'TARGET_REFUSED',
        `The broker "${name}" answered ${String(answers.length)} of ${String(commands.length)} commands. It is tried again.`,
        { context: { target: name } },
      );
    }
    return answers;
  }

  function refused(command: DynsecCommand | undefined, { error }: DynsecAnswer): KeylineError {
    const about = command?.['username'] ?? command?.['rolename'];
    const subject = typeof about === 'string' ? ` for "${about}"` : '';
    return new KeylineError(
      'TARGET_REFUSED',
      `The broker "${name}" refused ${command?.command ?? 'a command'}${subject}: ${error ?? ''}. It is tried again; see the broker's log.`,
      { context: { target: name, error: error ?? '' } },
    );
  }

  return {
    name,
    sendAll,
    refused,
    payloadSize: () => size,
    unansweredFor: () => (askedAt === undefined ? 0 : performance.now() - askedAt),
    async ask(commands, tolerates) {
      const answers = await sendAll(commands);
      for (const [position, answer] of answers.entries()) {
        if (answer.error !== undefined && tolerates?.(answer, position) !== true) {
          throw refused(commands[position], answer);
        }
      }
      return answers;
    },
  };
}
