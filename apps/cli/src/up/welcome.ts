// What `keyline up` says when everything serves.
import { join } from 'node:path';
import type { Endpoints } from '@keyline/api';
import { quoteForShell } from '@keyline/kernel';
import { formatFacts } from '../print/table.ts';

export function describeReady(
  { api, http, broker, admin, ca }: Endpoints,
  { data, logs, cwd }: { data: string; logs: string; cwd: string },
): string {
  const option =
    data === '.keyline' ? '' : ` --endpoints ${quoteForShell(join(data, 'endpoints.json'))}`;
  return `
Keyline is up.

${formatFacts([
  ['API', `${api}  (documentation: ${api}/docs)`],
  ['CRL, OCSP', http],
  ['broker', broker],
  ['trust anchor', ca],
  ['admin', `${admin.certificate}, ${admin.key}`],
  ['logs', logs],
])}
Try next, in another terminal, in ${cwd}:
  keyline token create --max-uses 3 --out token.txt${option}
  keyline device enroll --id pump-17 --token-file token.txt --out pump-17/${option}
  keyline device list${option}
  keyline doctor${option}

Ctrl-C stops everything.
`;
}
