// The archive within a backup: what is written is read, and nothing else is.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeTarHeader, readTar, tarEnd, tarPadding, type TarFile } from '../src/tar.ts';

async function* inPieces(bytes: Buffer, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) {
    yield await Promise.resolve(bytes.subarray(at, at + length));
  }
}

function archive(files: readonly { path: string; content: Buffer }[]): Buffer {
  return Buffer.concat([
    ...files.flatMap(({ path, content }) => [
      encodeTarHeader({ path, bytes: content.length, mode: 0o600 }, 0),
      content,
      tarPadding(content.length),
    ]),
    tarEnd,
  ]);
}

async function read(bytes: Buffer, length = 1000): Promise<{ path: string; content: Buffer }[]> {
  const files: { path: string; content: Buffer }[] = [];
  for await (const { path, content } of readTar(inPieces(bytes, length))) {
    files.push({ path, content: Buffer.concat(await Array.fromAsync(content)) });
  }
  return files;
}

describe('an archive', () => {
  it('is read as it was written, in pieces of whatever length', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 2000 }), { maxLength: 5 }),
        fc.integer({ min: 1, max: 3000 }),
        async (contents, length) => {
          const files = contents.map((content, n) => ({
            path: `${'folder/'.repeat(20)}${String(n)}`,
            content: Buffer.from(content),
          }));
          expect(await read(archive(files), length)).toEqual(files);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('goes on behind a file whose content nobody took', async () => {
    const bytes = archive([
      { path: 'a', content: Buffer.alloc(3000) },
      { path: 'b', content: Buffer.from('b') },
    ]);
    const paths: string[] = [];
    for await (const { path } of readTar(inPieces(bytes, 100))) paths.push(path);
    expect(paths).toEqual(['a', 'b']);
  });

  it('holds files of more than 8 GiB', async () => {
    const file: TarFile = { path: 'keyline.db', bytes: 9 * 1024 ** 3, mode: 0o600 };
    const { value } = await readTar(inPieces(encodeTarHeader(file, 0), 512)).next();
    expect(value).toMatchObject(file);
  });

  it('refuses a name that would be cut', () => {
    expect(() => encodeTarHeader({ path: 'x'.repeat(101), bytes: 0, mode: 0 }, 0)).toThrow(
      /too long/,
    );
  });

  it.each([
    ['that ends too early', (bytes: Buffer) => bytes.subarray(0, 700)],
    ['without an end', (bytes: Buffer) => bytes.subarray(0, 1024)],
    ['with more behind its end', (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('x')])],
    ['with a changed header', (bytes: Buffer) => bytes.fill('z', 0, 1)],
    ['of links', (bytes: Buffer) => relabeled(bytes, '2')],
    ['of folders', (bytes: Buffer) => relabeled(bytes, '5')],
  ])('is refused %s', async (_, spoil) => {
    const bytes = spoil(archive([{ path: 'a', content: Buffer.from('a') }]));
    await expect(read(bytes)).rejects.toThrow(/FILE_UNREADABLE/);
  });
});

/** Another type of entry, with a sum that is right. */
function relabeled(bytes: Buffer, type: string): Buffer {
  bytes.write(type, 156, 'latin1');
  bytes.write('        ', 148, 'latin1');
  const sum = bytes.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return bytes;
}
