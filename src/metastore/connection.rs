//! One connection: a call and its answer, one after the other.

use std::io::{self, BufReader, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde_json::Value;
use thrift::protocol::{
    TBinaryInputProtocol, TBinaryOutputProtocol, TInputProtocol, TMessageIdentifier, TMessageType, TOutputProtocol,
    TType,
};
use thrift::transport::{TBufferedWriteTransport, TFramedReadTransport, TFramedWriteTransport};
use thrift::{ApplicationErrorKind, Error, ProtocolErrorKind, TConfiguration, TransportError, TransportErrorKind};

use super::address::Address;
use super::error::MetastoreError;
use super::limited::{Allowance, Limited};
use super::wire::{Arg, fault, read_value, write_record};
use crate::codec::hms::thrift::Wire;

/// How messages are put into the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// As they are: the default of metastores.
    Buffered,
    /// Each behind its length (`hive.metastore.thrift.framed.transport.enabled`). Frames have at most 16 MB.
    Framed,
    /// Buffered, and framed if the metastore hangs up over that.
    Auto,
}

/// What a connection may cost.
#[derive(Clone, Debug)]
pub struct Options {
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for the next bytes of an answer; listings of large tables take a metastore minutes.
    pub read_timeout: Duration,
    /// Largest answer in bytes.
    pub max_answer_bytes: usize,
    /// How messages are put into the stream.
    pub transport: Transport,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(120),
            max_answer_bytes: 64 << 20,
            transport: Transport::Auto,
        }
    }
}

/// An open connection.
pub struct Connection {
    address: String,
    stream: TcpStream,
    input: Box<dyn TInputProtocol + Send>,
    output: Box<dyn TOutputProtocol + Send>,
    allowance: Allowance,
    max_answer_bytes: usize,
    calls: i32,
}

impl Connection {
    /// Connects, and asks something harmless to find out whether both sides speak the same.
    ///
    /// # Errors
    /// [`MetastoreError::Connect`], [`MetastoreError::Protocol`] or [`MetastoreError::Broken`].
    pub fn open(address: &Address, options: &Options) -> Result<Self, MetastoreError> {
        let transports: &[Transport] = match options.transport {
            Transport::Auto => &[Transport::Buffered, Transport::Framed],
            Transport::Buffered => &[Transport::Buffered],
            Transport::Framed => &[Transport::Framed],
        };
        let mut first_error = None;
        for transport in transports {
            let mut connection = Self::connect(address, options, *transport)?;
            match connection.greet(*transport) {
                Ok(()) => return Ok(connection),
                // A server with frames takes the first bytes for the length of one and hangs up.
                Err(error @ MetastoreError::Broken { .. }) => drop(first_error.get_or_insert(error)),
                Err(error) => return Err(error),
            }
        }
        Err(first_error.expect("there is a transport, and each ends in success or an error"))
    }

    fn connect(address: &Address, options: &Options, transport: Transport) -> Result<Self, MetastoreError> {
        let failed = |source: io::Error| MetastoreError::Connect { address: address.to_string(), source };
        let mut outcome = Err(io::Error::new(ErrorKind::NotFound, "the name has no address"));
        for socket in (address.host.as_str(), address.port).to_socket_addrs().map_err(failed)? {
            outcome = TcpStream::connect_timeout(&socket, options.connect_timeout);
            if outcome.is_ok() {
                break;
            }
        }
        let stream = outcome.map_err(failed)?;
        let copy = || -> io::Result<TcpStream> {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(options.read_timeout))?;
            stream.set_write_timeout(Some(options.read_timeout))?;
            stream.try_clone()
        };
        let (reading, writing) = (copy().map_err(failed)?, copy().map_err(failed)?);
        let allowance = Allowance::default();
        let limited = Limited::new(reading, allowance.clone());
        let config = TConfiguration::builder().max_string_size(Some(options.max_answer_bytes)).build();
        let config = config.map_err(|e| failed(io::Error::other(e)))?;
        let (input, output): (Box<dyn TInputProtocol + Send>, Box<dyn TOutputProtocol + Send>) = match transport {
            Transport::Framed => (
                Box::new(TBinaryInputProtocol::with_config(TFramedReadTransport::new(limited), true, config)),
                Box::new(TBinaryOutputProtocol::new(TFramedWriteTransport::new(writing), true)),
            ),
            Transport::Buffered | Transport::Auto => (
                Box::new(TBinaryInputProtocol::with_config(BufReader::new(limited), true, config)),
                Box::new(TBinaryOutputProtocol::new(TBufferedWriteTransport::new(writing), true)),
            ),
        };
        Ok(Self {
            address: address.to_string(),
            stream,
            input,
            output,
            allowance,
            max_answer_bytes: options.max_answer_bytes,
            calls: 0,
        })
    }

    /// Asks for the name of the service, and looks at the first bytes of the answer before it is read.
    fn greet(&mut self, transport: Transport) -> Result<(), MetastoreError> {
        const CALL: &str = "getName";
        self.send(CALL, &[]).map_err(|error| self.broken(CALL, error))?;
        let mut head = [0; 5];
        let found = self.stream.peek(&mut head).map_err(|error| self.broken(CALL, Error::from(error)))?;
        let head = head.get(..found).unwrap_or_default();
        if let Some(what) = foreign(head, transport) {
            return Err(MetastoreError::Protocol { address: self.address.clone(), what: what.to_owned() });
        }
        match self.receive(CALL, Some(&Wire::Text), &[]) {
            // Whoever says that it does not know the call speaks Thrift.
            Ok(_) | Err(MetastoreError::UnknownCall { .. } | MetastoreError::Exception { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Calls `method` and waits for its answer, of type `answer`. `exceptions` names the method's declared exceptions in
    /// the order of their ids. `None` is the answer of a method without one, or one that was left out.
    ///
    /// # Errors
    /// As the metastore answers; after [`MetastoreError::Broken`] the connection is of no more use.
    pub fn call(
        &mut self,
        method: &str,
        args: &[(i16, Arg<'_>)],
        answer: Option<&Wire>,
        exceptions: &[&str],
    ) -> Result<Option<Value>, MetastoreError> {
        self.send(method, args).map_err(|error| self.broken(method, error))?;
        self.receive(method, answer, exceptions)
    }

    fn send(&mut self, method: &str, args: &[(i16, Arg<'_>)]) -> thrift::Result<()> {
        self.calls = self.calls.wrapping_add(1);
        self.output.write_message_begin(&TMessageIdentifier::new(method, TMessageType::Call, self.calls))?;
        write_record(&mut *self.output, args)?;
        self.output.write_message_end()?;
        self.output.flush()
    }

    fn receive(
        &mut self,
        method: &str,
        answer: Option<&Wire>,
        exceptions: &[&str],
    ) -> Result<Option<Value>, MetastoreError> {
        self.allowance.renew(self.max_answer_bytes);
        match self.read_answer(method, answer, exceptions) {
            Ok(Answer::Value(value)) => Ok(value),
            Ok(Answer::Exception { kind, message }) => {
                Err(MetastoreError::Exception { address: self.address.clone(), call: method.to_owned(), kind, message })
            }
            Err(Error::Application(error)) if error.kind == ApplicationErrorKind::UnknownMethod => {
                Err(MetastoreError::UnknownCall { address: self.address.clone(), call: method.to_owned() })
            }
            // An error that the server sent in the place of an answer.
            Err(Error::Application(error)) => Err(MetastoreError::Exception {
                address: self.address.clone(),
                call: method.to_owned(),
                kind: format!("{:?}", error.kind),
                message: error.message,
            }),
            Err(error) => Err(self.broken(method, error)),
        }
    }

    fn read_answer(&mut self, method: &str, answer: Option<&Wire>, exceptions: &[&str]) -> thrift::Result<Answer> {
        let input = &mut *self.input;
        let message = input.read_message_begin()?;
        if message.message_type == TMessageType::Exception {
            let error = Error::read_application_error_from_in_protocol(input)?;
            input.read_message_end()?;
            return Err(Error::Application(error));
        }
        if message.name != method || message.sequence_number != self.calls {
            let found = format!("the answer to {} number {}", message.name, message.sequence_number);
            return Err(fault(ProtocolErrorKind::Unknown, &found));
        }
        input.read_struct_begin()?;
        let mut outcome = Answer::Value(None);
        loop {
            let field = input.read_field_begin()?;
            match (field.field_type, field.id, answer) {
                (TType::Stop, ..) => break,
                (kind, Some(0), Some(wire)) => outcome = Answer::Value(Some(read_value(input, wire, kind)?)),
                (TType::Struct, Some(id), _) if id > 0 => {
                    let nth = usize::try_from(id - 1).unwrap_or_default();
                    let kind = exceptions.get(nth).copied().unwrap_or("exception").to_owned();
                    outcome = Answer::Exception { kind, message: exception_message(input)? };
                }
                (kind, ..) => input.skip(kind)?,
            }
            input.read_field_end()?;
        }
        input.read_struct_end()?;
        input.read_message_end()?;
        Ok(outcome)
    }

    fn broken(&self, method: &str, error: Error) -> MetastoreError {
        // The library's own texts leave out what exactly was wrong.
        let source: Box<dyn std::error::Error + Send + Sync> = match error {
            Error::Transport(error) if is_time_out(&error) => "no answer within the time limit (--timeout)".into(),
            Error::Transport(error) => format!("the connection broke: {}", error.message).into(),
            Error::Protocol(error) => format!("the answer is not what it should be: {}", error.message).into(),
            error => error.into(),
        };
        MetastoreError::Broken { address: self.address.clone(), call: method.to_owned(), source }
    }
}

/// Sockets tell a time-out as "try again".
fn is_time_out(error: &TransportError) -> bool {
    error.kind == TransportErrorKind::TimedOut || error.message.contains("os error 11")
}

enum Answer {
    Value(Option<Value>),
    Exception { kind: String, message: String },
}

/// Exceptions of the metastore are structs whose first field is a text.
fn exception_message(input: &mut dyn TInputProtocol) -> thrift::Result<String> {
    let mut message = String::new();
    input.read_struct_begin()?;
    loop {
        let field = input.read_field_begin()?;
        match (field.field_type, field.id) {
            (TType::Stop, _) => break,
            (TType::String, Some(1)) => message = String::from_utf8_lossy(&input.read_bytes()?).into_owned(),
            (kind, _) => input.skip(kind)?,
        }
        input.read_field_end()?;
    }
    input.read_struct_end()?;
    Ok(message)
}

/// What else the first bytes of an answer can be.
fn foreign(head: &[u8], transport: Transport) -> Option<&'static str> {
    match head {
        // A record of TLS: an alert or a handshake.
        [0x15 | 0x16, 0x03, ..] => Some(
            "it wants TLS (hive.metastore.use.SSL), which this client does not speak; use a port without it or a TLS proxy",
        ),
        // The status byte and length of Thrift's SASL negotiation: BAD or ERROR, to bytes that did not negotiate.
        [0x03 | 0x04, 0x00, ..] if transport != Transport::Framed => Some(
            "it wants SASL, so Kerberos or a delegation token (hive.metastore.sasl.enabled), which this client does not \
             speak; use a metastore without it",
        ),
        [b'H', b'T', b'T', b'P', ..] => {
            Some("it answers with HTTP (hive.metastore.server.thrift.transport.mode); use a port in binary mode")
        }
        _ => None,
    }
}
