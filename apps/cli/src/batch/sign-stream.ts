// One bulk signing call as a stream: a line a unit out, a line a unit back, in the same order. Files are sign-batch's matter.
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import type { IncomingMessage } from 'node:http';
import type { SignLine, SignRequest } from '@keyline/api';
import { type ApiClient, errorOfProblem, routePath } from '@keyline/client';
import { KeylineError, messageOf } from '@keyline/kernel';

/** A line carries a certificate with its chain at most; longer ones are not from Keyline. */
const maxLineLength = 1_000_000;

/**
 * @param units in the order in which the answers will come.
 * @throws {KeylineError} SERVICE_UNREACHABLE when the stream breaks; what was yielded before it is durable on the service's side
 */
export async function* signStream(
  client: ApiClient,
  batch: string,
  units: AsyncIterable<SignRequest>,
): AsyncGenerator<SignLine> {
  const { request, answer } = client.transport.open(
    'POST',
    routePath('signBatch', signInput(batch)),
    {
      'content-type': 'application/x-ndjson',
      accept: 'application/x-ndjson',
    },
  );
  // Its failure is the request's failure, which `answer` and the response tell; an unread rejection would end the process.
  const sending = pipeline(Readable.from(encodeLines(units)), request).catch((error: unknown) => {
    request.destroy();
    return toError(error);
  });
  try {
    const response = await answer;
    if ((response.statusCode ?? 0) >= 400) {
      const text = await client.transport.collect(response);
      throw errorOfProblem({ status: response.statusCode ?? 0, headers: response.headers, text });
    }
    yield* parseLines(client, response);
    const failure = await sending;
    if (failure !== undefined) throw failure;
  } finally {
    request.destroy();
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(messageOf(error));
}

/** Path parameters only: the body is the stream. */
function signInput(batch: string): Parameters<typeof routePath<'signBatch'>>[1] {
  return { params: { id: batch }, body: { csr: '' } };
}

async function* encodeLines(units: AsyncIterable<SignRequest>): AsyncGenerator<string> {
  for await (const unit of units) yield `${JSON.stringify(unit)}\n`;
}

async function* parseLines(client: ApiClient, response: IncomingMessage): AsyncGenerator<SignLine> {
  response.setEncoding('utf8');
  let rest = '';
  try {
    for await (const part of response as AsyncIterable<string>) {
      const lines = (rest + part).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') yield parseLine(line);
      if (rest.length > maxLineLength) throw new Error('a line of the answer is too long');
    }
  } catch (error) {
    throw error instanceof KeylineError ? error : client.transport.unreachable(error);
  }
  // A last line without its end was cut off; the unit is sent again.
}

function parseLine(line: string): SignLine {
  try {
    return JSON.parse(line) as SignLine;
  } catch (error) {
    throw new KeylineError(
      'INTERNAL',
      'The service answered with a line that is not JSON. Is it Keyline?',
      {
        cause: error,
      },
    );
  }
}
