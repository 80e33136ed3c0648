import { randomUUID } from 'node:crypto';
import type { FakeSidecar } from '../support/fake-sidecar.ts';
import { asCaller } from '../support/service-under-test.ts';
import type { CheckedService } from './checked-service.ts';
import type { Documents, Json, Operation } from './documents.ts';
import type { ServiceProcess } from './service-process.ts';

export const ADMIN = asCaller(randomUUID(), 'admin');
export const CUSTOMER = asCaller(randomUUID());

/** A running service, and requests that follow from its documents. */
export interface Subject {
  name: string;
  documents: Documents;
  sidecar: () => FakeSidecar;
  replica: () => ServiceProcess;
  call: CheckedService['call'];
  /** Delivers an event as it is. Returns the status. */
  deliver: (
    type: string,
    event: unknown,
    headers?: Record<string, string>,
    signal?: AbortSignal,
  ) => Promise<unknown>;
  /** A path of the route. @param value stands for every variable */
  pathOf: (route: Operation, value?: string) => string;
  /** The required query parameters. */
  queryOf: (route: Operation) => string;
  callerFor: (route: Operation) => Record<string, string>;
  exampleOf: (route: Operation) => Json | undefined;
}

/** @param service the service, as soon as it runs */
export function subjectOf(name: string, documents: Documents, service: () => CheckedService): Subject {
  return {
    name,
    documents,
    sidecar: () => service().sidecar,
    replica: () => service().replicas[0]!,
    call: (...args) => service().call(...args),
    async deliver(type, event, headers = {}, signal) {
      const { body } = await service().call('POST', `/events/${type}`, {
        text: JSON.stringify(event),
        headers: { 'content-type': 'application/cloudevents+json', ...headers },
        ...(signal === undefined ? {} : { signal }),
      });
      return body['status'];
    },
    pathOf: ({ path }, value = randomUUID()) => path.replaceAll(/\{\w+\}/g, value),
    queryOf: ({ parameters = [] }) => {
      const required = parameters.filter((one) => one.in === 'query' && one.required);
      return required.length > 0
        ? `?${required.map(({ name: one }) => `${one}=${randomUUID()}`).join('&')}`
        : '';
    },
    callerFor: (route) => (route['x-access'] === 'admin' ? ADMIN : CUSTOMER),
    exampleOf: ({ requestBody }) =>
      Object.values(requestBody?.content['application/json'].examples ?? {})[0]?.value,
  };
}
