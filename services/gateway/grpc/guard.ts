import type { handleServerStreamingCall, handleUnaryCall, Metadata } from '@grpc/grpc-js';
import { once, type EventEmitter } from 'node:events';
import type { Caller } from '../../shared/identity.ts';
import type { Logger } from '../../shared/log.ts';
import { forbidden, Problem, problemOf } from '../../shared/problem.ts';
import type { Gate } from '../gate.ts';
import { failureOf, type Failure } from './failure.ts';
import type { Protocol } from './protocol.ts';

/** `customer`: everyone with an access token; whose things these are is for the service behind to judge. */
export type Access = 'customer' | 'admin';

/** A call of somebody who may make it. */
export interface Asked<Request> {
  request: Request;
  caller: Caller;
  metadata: Metadata;
  /** Aborted when nobody waits any more: the call was cancelled, or its deadline has passed, or a stream's token. */
  signal: AbortSignal;
}

export interface GuardDeps {
  gate: Pick<Gate, 'verify' | 'identify' | 'limits' | 'enterStream'>;
  log: Logger;
  encode: Protocol['encode'];
}

export interface Guard {
  unary: <Request, Response>(
    access: Access,
    answer: (asked: Asked<Request>) => Promise<{ message: Response; metadata?: Metadata }>,
  ) => handleUnaryCall<Request, Response>;
  stream: <Request, Response>(
    access: Access,
    messages: (asked: Asked<Request>) => AsyncIterable<Response>,
  ) => handleServerStreamingCall<Request, Response>;
}

/** A stream ends with its token; this is how often that is looked at. Milliseconds. */
const VERIFY_EVERY = 15_000;

/**
 * The only way to make a handler, so that there is none without a word on who may call it: a method of the .proto that
 * has no handler is UNIMPLEMENTED. What handlers throw becomes a status here.
 */
export function guard({ gate, log, encode }: GuardDeps): Guard {
  const { verify, identify, limits, enterStream } = gate;

  async function admit(call: Call, access: Access): Promise<Caller> {
    const address = call.getPeer().replace(/:\d+$/, '');
    const caller = await identify(textOf(call.metadata, 'authorization'), address);
    if (access === 'admin' && caller.role !== 'admin') throw forbidden('This is for administrators.');
    const refusal = await limits.count('api', caller.id);
    if (refusal) throw refusal;
    return caller;
  }

  function failure(error: unknown, signal: AbortSignal): Failure {
    const problem = problemOf(error);
    // What ends because nobody waits for it has not failed.
    if (problem.status >= 500 && !signal.aborted) log.error({ err: error }, 'request failed');
    return failureOf(problem, encode);
  }

  return {
    unary: (access, answer) => async (call, callback) => {
      const { request, metadata } = call;
      const signal = signalOf(call);
      try {
        const caller = await admit(call, access);
        const answered = await answer({ request, caller, metadata, signal });
        if (answered.metadata) call.sendMetadata(answered.metadata);
        callback(null, answered.message);
      } catch (error) {
        callback(failure(error, signal));
      }
    },
    stream: (access, messages) => async (call) => {
      const { request, metadata } = call;
      const cancelled = signalOf(call);
      const expired = new AbortController();
      const signal = AbortSignal.any([cancelled, expired.signal]);
      const stillAdmitted = setInterval(() => {
        verify(textOf(metadata, 'authorization')).catch((error: unknown) => {
          if (error instanceof Problem && error.status === 401) expired.abort(error);
        });
      }, VERIFY_EVERY).unref();
      let leave = () => {};
      try {
        const caller = await admit(call, access);
        leave = enterStream(caller.id);
        for await (const message of messages({ request, caller, metadata, signal })) {
          if (signal.aborted) break;
          if (!call.write(message)) await once(call, 'drain', { signal });
        }
        expired.signal.throwIfAborted();
        call.end();
      } catch (error) {
        const reason: unknown = expired.signal.aborted ? expired.signal.reason : error;
        // The library's way to end a stream with a status.
        if (!cancelled.aborted) call.emit('error', failure(reason, cancelled));
      } finally {
        clearInterval(stillAdmitted);
        leave();
      }
    },
  };
}

interface Call {
  metadata: Metadata;
  getPeer: () => string;
}

function signalOf(call: Pick<EventEmitter, 'once'>): AbortSignal {
  const controller = new AbortController();
  call.once('cancelled', () => controller.abort());
  return controller.signal;
}

/** A value of the metadata; several are a list, as in HTTP. */
export function textOf(metadata: Metadata, key: string): string | undefined {
  const values = metadata.get(key);
  return values.length === 0 ? undefined : values.join(', ');
}
