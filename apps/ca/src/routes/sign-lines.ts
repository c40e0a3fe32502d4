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

/** Answers go out as they come, so that a station may wait for one before it sends the next unit. */
export async function* signLines(
  input: AsyncIterable<Buffer | string>,
  options: SignLinesOptions,
): AsyncGenerator<string> {
  const lines = splitLines(input, options.lineBytes);
  const inFlight: Promise<SignLine>[] = [];
  const next = async (): Promise<string> => `${JSON.stringify(await inFlight.shift())}\n`;
  let reading = lines.next();
  try {
    for (;;) {
      // Looked at when it is waited for; until then a broken stream is nobody's unhandled rejection.
      reading.catch(() => undefined);
      const [oldest] = inFlight;
      const isAnswered =
        oldest !== undefined &&
        (inFlight.length >= options.window ||
          (await Promise.race([oldest.then(() => true), reading.then(() => false)])));
      if (isAnswered) {
        yield await next();
        continue;
      }
      const { done, value } = await reading;
      if (done === true) break;
      inFlight.push(signLine(value, options));
      reading = lines.next();
    }
  } catch (error) {
    while (inFlight.length > 0) yield await next();
    yield `${JSON.stringify(refusal(null, error))}\n`;
    return;
  } finally {
    // Also when nobody reads the answers any more; a read that is under way ends first.
    void lines.return(undefined).catch(() => undefined);
  }
  while (inFlight.length > 0) yield await next();
}
