// Bulk signing: NDJSON in, NDJSON out, in order, bounded in memory, each line durable before it is written.
import { SignRequestSchema, type SignLine, type SignResponse } from '@keyline/api';
import { isKeylineError, KeylineError } from '@keyline/kernel';
import { Compile } from 'typebox/compile';
import { createProblem } from '../problem-reply.ts';

const signRequest = Compile(SignRequestSchema);

export interface SignLinesOptions {
  /** A longer line is refused, and the stream ends: where the next one begins is not known. */
  readonly lineBytes: number;
  /** Units worked on at once; they share the store's transactions. */
  readonly window: number;
  sign(unit: { id?: string | undefined; csr: string }): Promise<SignResponse>;
}

/** Lines of a byte stream without their ends; empty ones are left out. @throws {KeylineError} REQUEST_TOO_LARGE */
async function* splitLines(
  input: AsyncIterable<Buffer | string>,
  lineBytes: number,
): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of input) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    let data = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10)) {
      if (end > lineBytes) throw tooLong(lineBytes);
      const line = data.toString('utf8', 0, end).trim();
      data = data.subarray(end + 1);
      if (line !== '') yield line;
    }
    if (data.length > lineBytes) throw tooLong(lineBytes);
    rest = data;
  }
  const line = rest.toString('utf8').trim();
  if (line !== '') yield line;
}

function tooLong(lineBytes: number): KeylineError {
  return new KeylineError(
    'REQUEST_TOO_LARGE',
    `A line is longer than ${String(lineBytes)} bytes. Send one unit per line: {"id":"…","csr":"…"}.`,
  );
}

function refusal(id: string | null, error: unknown): SignLine {
  const known = isKeylineError(error)
    ? error
    : new KeylineError('INTERNAL', 'An unexpected error.', { cause: error });
  const problem = createProblem(known);
  return { id, status: problem.status, error: problem };
}

function parseLine(line: string): { id?: string; csr: string } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new KeylineError('REQUEST_INVALID', 'The line is not JSON.', { cause });
  }
  if (!signRequest.Check(value)) {
    const [issue] = signRequest.Errors(value);
    throw new KeylineError(
      'REQUEST_INVALID',
      `The line is not {"id"?, "csr"}: ${issue?.instancePath ?? ''} ${issue?.message ?? 'is not valid'}.`,
    );
  }
  return value;
}

async function signLine(line: string, options: SignLinesOptions): Promise<SignLine> {
  let id: string | null = null;
  try {
    const unit = parseLine(line);
    id = unit.id ?? null;
    return await options.sign(unit);
  } catch (error) {
    return refusal(id, error);
  }
}

/** A place in the order of the answers; empty until its unit is answered. */
interface Slot {
  text?: string;
}

/**
 * Answers go out as they come, so that a station may wait for one before it sends the next unit; those that come together (the units of
 * one commit) go out as one piece.
 */
export async function* signLines(
  input: AsyncIterable<Buffer | string>,
  options: SignLinesOptions,
): AsyncGenerator<string> {
  const slots: Slot[] = [];
  const reading = { atEnd: false, abandoned: false };
  let wakeReader = (): void => undefined;
  let wakeWriter = (): void => undefined;

  async function answer(slot: Slot, line: string): Promise<void> {
    slot.text = `${JSON.stringify(await signLine(line, options))}\n`;
    if (slot === slots[0]) wakeWriter();
  }

  async function read(): Promise<void> {
    try {
      for await (const line of splitLines(input, options.lineBytes)) {
        const slot: Slot = {};
        slots.push(slot);
        void answer(slot, line);
        while (slots.length >= options.window && !reading.abandoned) {
          await new Promise<void>((resolve) => (wakeReader = resolve));
        }
        if (reading.abandoned) return;
      }
    } catch (error) {
      slots.push({ text: `${JSON.stringify(refusal(null, error))}\n` });
    }
    reading.atEnd = true;
    wakeWriter();
  }

  void read();
  try {
    for (;;) {
      let text = '';
      while (slots[0]?.text !== undefined) text += slots.shift()?.text ?? '';
      if (text !== '') {
        yield text;
        wakeReader();
      } else if (reading.atEnd && slots.length === 0) return;
      else await new Promise<void>((resolve) => (wakeWriter = resolve));
    }
  } finally {
    // The caller is gone: what is being signed is finished, nothing more is begun.
    reading.abandoned = true;
    wakeReader();
  }
}
