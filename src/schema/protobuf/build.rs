//! From a checked descriptor to the model: map entries and groups go where they are used, names are resolved.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use prost_reflect::{DynamicMessage, ReflectMessage, Value};
use prost_types::field_descriptor_proto::{Label as ProtoLabel, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, ServiceDescriptorProto,
    UninterpretedOption,
};

use super::check::is_map_entry;
use super::model::{
    Constant, Enum, EnumValue, Extend, ExtensionRange, Field, FieldType, File, Import, Label, Message, Method, Oneof,
    OptionName, Reach, Reserved, Service, Setting, Symbol, Symbols, Syntax, join,
};
use super::options::{float, float32, quote, quote_bytes, settings, unescape};

/// Adds what a file declares; `index` is the file's place in the schema.
pub(super) fn declare(file: &FileDescriptorProto, index: usize, symbols: &mut Symbols) {
    fn messages(scope: &str, declared: &[DescriptorProto], index: usize, symbols: &mut Symbols) {
        for message in declared {
            let name = join(scope, message.name());
            messages(&name, &message.nested_type, index, symbols);
            enums(&name, &message.enum_type, index, symbols);
            extensions(&name, &message.extension, symbols);
            symbols.add(name, Symbol::Message(index));
        }
    }
    fn enums(scope: &str, declared: &[EnumDescriptorProto], index: usize, symbols: &mut Symbols) {
        for declared in declared {
            symbols.add(join(scope, declared.name()), Symbol::Enum(index));
        }
    }
    fn extensions(scope: &str, declared: &[FieldDescriptorProto], symbols: &mut Symbols) {
        for field in declared {
            symbols.add(join(scope, field.name()), Symbol::Extension);
        }
    }
    symbols.add_package(file.package());
    messages(file.package(), &file.message_type, index, symbols);
    enums(file.package(), &file.enum_type, index, symbols);
    extensions(file.package(), &file.extension, symbols);
}

/// The model of a file. `resolved` is the same descriptor read by reflection, for its options.
pub(super) fn file(file: &FileDescriptorProto, resolved: Option<&DynamicMessage>, symbols: &Symbols) -> File {
    let syntax = if file.syntax() == "proto3" { Syntax::Proto3 } else { Syntax::Proto2 };
    let builder = Builder { syntax, symbols };
    let node = Node(resolved.map(Cow::Borrowed));
    let package = file.package();
    let imports = file.dependency.iter().zip(0..).map(|(path, index)| {
        let reach = if file.public_dependency.contains(&index) {
            Reach::Public
        } else if file.weak_dependency.contains(&index) {
            Reach::Weak
        } else {
            Reach::Plain
        };
        Import { reach, path: path.clone() }
    });
    let mut imports: Vec<Import> = imports.collect();
    imports.sort_by_key(|import| import.reach);
    let services = file.service.iter().enumerate().map(|(at, service)| builder.service(package, service, at, &node));
    File {
        syntax,
        package: package.to_owned(),
        imports,
        options: node.settings(file.options.as_ref().map(|options| options.uninterpreted_option.as_slice())),
        messages: builder.messages(package, &Nested::of(&file.message_type), &groups(&[], &file.extension), &node),
        enums: builder.enums(&file.enum_type, &node),
        extends: builder.extends(package, &file.extension, &Nested::of(&file.message_type), &node),
        services: services.collect(),
    }
}

/// Messages declared in one scope, with their places by name.
struct Nested<'a> {
    messages: &'a [DescriptorProto],
    places: HashMap<&'a str, usize>,
}

impl<'a> Nested<'a> {
    fn of(messages: &'a [DescriptorProto]) -> Self {
        Self { messages, places: messages.iter().enumerate().map(|(at, message)| (message.name(), at)).collect() }
    }

    /// The message that a type's name means, if it is one of these; names are in full or local.
    fn find(&self, type_name: &str) -> Option<(usize, &'a DescriptorProto)> {
        let at = *self.places.get(last_part(type_name))?;
        self.messages.get(at).map(|message| (at, message))
    }
}

/// A message read by reflection; absent where that failed, and then its options are left out.
#[derive(Clone)]
struct Node<'a>(Option<Cow<'a, DynamicMessage>>);

impl Node<'_> {
    /// A message of the scope: a file's or another message's.
    fn message(&self, at: usize) -> Node<'_> {
        let in_file = self.0.as_ref().is_some_and(|node| node.descriptor().name() == "FileDescriptorProto");
        self.child(if in_file { "message_type" } else { "nested_type" }, at)
    }

    fn child(&self, field: &str, at: usize) -> Node<'_> {
        let found = self.0.as_ref().and_then(|message| match message.get_field_by_name(field)? {
            Cow::Borrowed(Value::List(values)) => values.get(at)?.as_message().map(Cow::Borrowed),
            _ => None,
        });
        Node(found)
    }

    fn settings(&self, written: Option<&[UninterpretedOption]>) -> Vec<Setting> {
        let options = self.0.as_ref().and_then(|message| message.get_field_by_name("options"));
        let options = options.as_ref().and_then(|value| value.as_message());
        settings(options, written.unwrap_or_default())
    }
}

/// Names of the messages that are groups' bodies.
fn groups<'a>(fields: &'a [FieldDescriptorProto], extensions: &'a [FieldDescriptorProto]) -> HashSet<&'a str> {
    fields.iter().chain(extensions).filter(|field| is_group(field)).map(|field| last_part(field.type_name())).collect()
}

fn is_group(field: &FieldDescriptorProto) -> bool {
    field.r#type == Some(Type::Group as i32)
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

struct Builder<'a> {
    syntax: Syntax,
    symbols: &'a Symbols,
}

/// Where a field is declared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Message,
    Oneof,
    Extend,
}

impl Builder<'_> {
    fn messages(&self, scope: &str, nested: &Nested<'_>, groups: &HashSet<&str>, node: &Node<'_>) -> Vec<Message> {
        let own = |message: &DescriptorProto| !is_map_entry(message) && !groups.contains(message.name());
        let all = nested.messages.iter().enumerate().filter(|(_, message)| own(message));
        all.map(|(at, message)| self.message(scope, message, &node.message(at))).collect()
    }

    fn message(&self, scope: &str, message: &DescriptorProto, node: &Node<'_>) -> Message {
        let scope = join(scope, message.name());
        let nested = Nested::of(&message.nested_type);
        let mut fields = Vec::new();
        let mut members: Vec<Vec<Field>> = message.oneof_decl.iter().map(|_| Vec::new()).collect();
        for (at, field) in message.field.iter().enumerate() {
            let index = field.oneof_index.and_then(|index| usize::try_from(index).ok());
            let oneof = index.and_then(|index| members.get_mut(index)).filter(|_| !field.proto3_optional());
            let place = if oneof.is_some() { Place::Oneof } else { Place::Message };
            let field = self.field(&scope, field, &nested, at, node, place);
            oneof.unwrap_or(&mut fields).push(field);
        }
        let oneofs = message.oneof_decl.iter().zip(members).enumerate().filter(|(_, (_, fields))| !fields.is_empty());
        let oneofs = oneofs.map(|(at, (oneof, fields))| {
            let written = oneof.options.as_ref().map(|options| options.uninterpreted_option.as_slice());
            let options = node.child("oneof_decl", at).settings(written);
            Oneof { name: oneof.name().to_owned(), options, fields }
        });
        let extensions = message.extension_range.iter().enumerate().map(|(at, range)| {
            let written = range.options.as_ref().map(|options| options.uninterpreted_option.as_slice());
            let options = node.child("extension_range", at).settings(written);
            ExtensionRange { first: range.start(), last: range.end() - 1, options }
        });
        let bodies = groups(&message.field, &message.extension);
        Message {
            name: message.name().to_owned(),
            options: node.settings(message.options.as_ref().map(|options| options.uninterpreted_option.as_slice())),
            fields,
            oneofs: oneofs.collect(),
            reserved: Reserved {
                ranges: message.reserved_range.iter().map(|range| (range.start(), range.end() - 1)).collect(),
                names: message.reserved_name.clone(),
            },
            extensions: extensions.collect(),
            extends: self.extends(&scope, &message.extension, &nested, node),
            nested: self.messages(&scope, &nested, &bodies, node),
            enums: self.enums(&message.enum_type, node),
        }
    }

    /// A field declared in the scope that `parent` is; `at` is its place there.
    fn field(
        &self,
        scope: &str,
        field: &FieldDescriptorProto,
        nested: &Nested<'_>,
        at: usize,
        parent: &Node<'_>,
        place: Place,
    ) -> Field {
        let body = if is_group(field) { nested.find(field.type_name()) } else { None };
        let mut kind = match (body, field.r#type.and_then(|kind| Type::try_from(kind).ok()).and_then(scalar)) {
            (Some((at, body)), _) => FieldType::Group(Box::new(self.message(scope, body, &parent.message(at)))),
            (None, Some(name)) => FieldType::Scalar(name),
            (None, None) => FieldType::Named(self.symbols.resolve_type(field.type_name(), scope)),
        };
        let node = parent.child(if place == Place::Extend { "extension" } else { "field" }, at);
        let mut label = match field.label() {
            ProtoLabel::Repeated => Some(Label::Repeated),
            ProtoLabel::Required => Some(Label::Required),
            ProtoLabel::Optional => {
                let written = self.syntax == Syntax::Proto2 || field.proto3_optional();
                written.then_some(Label::Optional)
            }
        };
        if place != Place::Extend
            && let Some((key, value)) = self.map_entry(scope, field, nested)
        {
            kind = FieldType::Map(key, Box::new(value));
            label = None;
        }
        if place == Place::Oneof {
            label = None;
        }
        let mut options = node.settings(field.options.as_ref().map(|options| options.uninterpreted_option.as_slice()));
        if let Some(value) = &field.default_value {
            let name = OptionName::Plain("default".to_owned());
            options.push(Setting { name, value: Constant::Word(default(value, field.r#type)) });
        }
        if let Some(name) = field.json_name.as_ref().filter(|name| **name != json_name(field.name())) {
            let key = OptionName::Plain("json_name".to_owned());
            options.push(Setting { name: key, value: Constant::Word(quote(name)) });
        }
        Field { name: field.name().to_owned(), number: field.number(), label, kind, options }
    }

    fn map_entry(
        &self,
        scope: &str,
        field: &FieldDescriptorProto,
        nested: &Nested<'_>,
    ) -> Option<(&'static str, FieldType)> {
        if field.label() != ProtoLabel::Repeated || is_group(field) {
            return None;
        }
        let (_, entry) = nested.find(field.type_name()).filter(|(_, message)| is_map_entry(message))?;
        let [key, value] = entry.field.as_slice() else { return None };
        let key = scalar(key.r#type())?;
        let scope = join(scope, entry.name());
        let value = match value.r#type.and_then(|kind| Type::try_from(kind).ok()).and_then(scalar) {
            Some(name) => FieldType::Scalar(name),
            None => FieldType::Named(self.symbols.resolve_type(value.type_name(), &scope)),
        };
        Some((key, value))
    }

    fn extends(
        &self,
        scope: &str,
        declared: &[FieldDescriptorProto],
        nested: &Nested<'_>,
        node: &Node<'_>,
    ) -> Vec<Extend> {
        let mut extends: Vec<Extend> = Vec::new();
        for (at, field) in declared.iter().enumerate() {
            let extendee = self.symbols.resolve_type(field.extendee(), scope);
            let field = self.field(scope, field, nested, at, node, Place::Extend);
            match extends.last_mut().filter(|last| last.extendee == extendee) {
                Some(last) => last.fields.push(field),
                None => extends.push(Extend { extendee, fields: vec![field] }),
            }
        }
        extends
    }

    fn enums(&self, declared: &[EnumDescriptorProto], node: &Node<'_>) -> Vec<Enum> {
        let all = declared.iter().enumerate().map(|(at, declared)| {
            let node = node.child("enum_type", at);
            let values = declared.value.iter().enumerate().map(|(at, value)| {
                let written = value.options.as_ref().map(|options| options.uninterpreted_option.as_slice());
                let options = node.child("value", at).settings(written);
                EnumValue { name: value.name().to_owned(), number: value.number(), options }
            });
            Enum {
                name: declared.name().to_owned(),
                options: node
                    .settings(declared.options.as_ref().map(|options| options.uninterpreted_option.as_slice())),
                values: values.collect(),
                reserved: Reserved {
                    ranges: declared.reserved_range.iter().map(|range| (range.start(), range.end())).collect(),
                    names: declared.reserved_name.clone(),
                },
            }
        });
        all.collect()
    }

    fn service(&self, package: &str, service: &ServiceDescriptorProto, at: usize, node: &Node<'_>) -> Service {
        let node = node.child("service", at);
        let methods = service.method.iter().enumerate().map(|(at, method)| {
            let written = method.options.as_ref().map(|options| options.uninterpreted_option.as_slice());
            Method {
                name: method.name().to_owned(),
                input: self.symbols.resolve_type(method.input_type(), package),
                output: self.symbols.resolve_type(method.output_type(), package),
                client_streaming: method.client_streaming(),
                server_streaming: method.server_streaming(),
                options: node.child("method", at).settings(written),
            }
        });
        Service {
            name: service.name().to_owned(),
            options: node.settings(service.options.as_ref().map(|options| options.uninterpreted_option.as_slice())),
            methods: methods.collect(),
        }
    }
}

/// The keyword of a type without a name of its own.
fn scalar(kind: Type) -> Option<&'static str> {
    Some(match kind {
        Type::Double => "double",
        Type::Float => "float",
        Type::Int64 => "int64",
        Type::Uint64 => "uint64",
        Type::Int32 => "int32",
        Type::Fixed64 => "fixed64",
        Type::Fixed32 => "fixed32",
        Type::Bool => "bool",
        Type::String => "string",
        Type::Bytes => "bytes",
        Type::Uint32 => "uint32",
        Type::Sfixed32 => "sfixed32",
        Type::Sfixed64 => "sfixed64",
        Type::Sint32 => "sint32",
        Type::Sint64 => "sint64",
        Type::Group | Type::Message | Type::Enum => return None,
    })
}

fn default(value: &str, kind: Option<i32>) -> String {
    match kind.and_then(|kind| Type::try_from(kind).ok()) {
        Some(Type::String) => quote(value),
        Some(Type::Bytes) => quote_bytes(&unescape(value).unwrap_or_default()),
        Some(Type::Double) => value.parse().map_or_else(|_| value.to_owned(), float),
        Some(Type::Float) => value.parse().map_or_else(|_| value.to_owned(), float32),
        _ => value.to_owned(),
    }
}

/// The JSON name a field has when none is given.
fn json_name(name: &str) -> String {
    let mut json = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        if letter == '_' {
            upper = true;
        } else {
            json.push(if upper { letter.to_ascii_uppercase() } else { letter });
            upper = false;
        }
    }
    json
}
