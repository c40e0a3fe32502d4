// Other names in a keyline.yaml, with everything else in it, comments too, as a person wrote it.
import { KeylineError } from '@keyline/kernel';
import { isSeq, parseDocument } from 'yaml';

/**
 * @param text of a valid keyline.yaml
 * @param hosts names and addresses, normalized
 * @throws {KeylineError} CONFIG_INVALID when its list can't be told from what is around it
 */
export function replaceHosts(text: string, hosts: readonly string[]): string {
  const list = parseDocument(text).get('hosts', true);
  const range = isSeq(list) ? list.range : undefined;
  if (!isSeq(list) || range === undefined || range === null) throw cannot();
  const [start, end] = range;
  const before = text.slice(0, start);
  const written = text.slice(start, end);
  const items = hosts.map((host) => `'${host}'`);
  const indent = ' '.repeat(before.length - before.lastIndexOf('\n') - 1);
  const changed =
    list.flow === true
      ? `[${items.join(', ')}]`
      : `${items.map((item) => `- ${item}`).join(`\n${indent}`)}${/\s*$/.exec(written)?.[0] ?? ''}`;
  const result = before + changed + text.slice(end);
  const found = parseDocument(result);
  const expected = parseDocument(text).toJS() as Record<string, unknown>;
  if (
    found.errors.length > 0 ||
    JSON.stringify(found.toJS()) !== JSON.stringify({ ...expected, hosts })
  ) {
    throw cannot();
  }
  return result;
}

function cannot(): KeylineError {
  return new KeylineError(
    'CONFIG_INVALID',
    'The list "hosts" of keyline.yaml could not be changed without touching what is around it. Change it by hand: the next start of "keyline up" does the rest.',
  );
}
