// `endpoints.json`: how a script or the CLI finds a running Keyline.
import { Type, type Static } from 'typebox';

export const EndpointsSchema = Type.Object({
  api: Type.String({ description: 'https:// base URL' }),
  http: Type.String({ description: 'http:// base URL for CRL, OCSP, AIA, trust bundle' }),
  broker: Type.String({ description: 'mqtts:// URL' }),
  ca: Type.String({ description: 'PEM file with the trust anchors' }),
  admin: Type.Object({
    certificate: Type.String({ description: 'PEM file, leaf and chain' }),
    key: Type.String({ description: 'PEM file, private key (0600)' }),
  }),
  metrics: Type.Optional(
    Type.String({ description: 'http:// base URL of the broker’s /metrics, on this machine' }),
  ),
  pids: Type.Optional(Type.Object({ ca: Type.Integer(), broker: Type.Integer() })),
});
export type Endpoints = Static<typeof EndpointsSchema>;
