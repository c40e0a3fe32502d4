// Services: applications with an identity. What becomes of one later (renew, revoke, suspend …) goes the way of devices.
import { Type } from 'typebox';
import {
  DeviceIdSchema,
  LabelsSchema,
  PemCsr,
  ValidityRequest,
  object,
} from '../schemas/common.ts';
import {
  DeviceListSchema,
  DeviceParamsSchema,
  DeviceQuerySchema,
  DeviceSchema,
  EnrollResponseSchema,
} from './devices.ts';
import { BrokerName } from '../schemas/broker-access.ts';
import { administrators, json, readers, type RouteContract } from './route-contract.ts';

export const CreateServiceRequestSchema = object(
  {
    name: DeviceIdSchema,
    role: Type.String({
      minLength: 1,
      maxLength: 64,
      description: 'A role with kind: service of ca-config/roles, for instance telemetry-reader.',
    }),
    csr: PemCsr,
    labels: Type.Optional(LabelsSchema),
    validity: Type.Optional(ValidityRequest),
    broker: BrokerName,
  },
  'An application that brokers are to know.',
);

export const servicesRoutes = {
  createService: {
    method: 'POST',
    url: '/v1/services',
    admits: administrators,
    tag: 'services',
    summary: 'Make a service: an application with a certificate, and its rights on every broker',
    description:
      'The same name, role, labels and key again answer with the same certificate (200). It renews as a device does (POST /v1/renew, over mTLS), and is revoked, suspended and decommissioned as one (POST /v1/devices/{name}/revoke …).',
    status: 201,
    body: CreateServiceRequestSchema,
    takes: json,
    response: EnrollResponseSchema,
    givesCertificate: true,
  },
  listServices: {
    method: 'GET',
    url: '/v1/services',
    admits: readers,
    tag: 'services',
    summary: 'List and search services',
    status: 200,
    query: DeviceQuerySchema,
    response: DeviceListSchema,
  },
  getService: {
    method: 'GET',
    url: '/v1/services/:id',
    admits: [...readers, 'service'],
    tag: 'services',
    summary: 'One service (a service may read itself)',
    status: 200,
    params: DeviceParamsSchema,
    response: DeviceSchema,
  },
} as const satisfies Record<string, RouteContract>;
