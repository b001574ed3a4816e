//! The kinds of change, with the reference's names for them and what is said about those that break readers.

/// A kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    PackageChanged,
    MessageAdded,
    MessageRemoved,
    MessageMoved,
    EnumAdded,
    EnumRemoved,
    EnumConstAdded,
    EnumConstChanged,
    EnumConstRemoved,
    FieldAdded,
    FieldRemoved,
    FieldNameChanged,
    FieldKindChanged,
    FieldScalarKindChanged,
    FieldNamedTypeChanged,
    FieldNumericLabelChanged,
    FieldStringOrBytesLabelChanged,
    RequiredFieldAdded,
    RequiredFieldRemoved,
    OneofAdded,
    OneofRemoved,
    OneofFieldAdded,
    OneofFieldRemoved,
    OneofFieldMovedToTopLevel,
    MultipleFieldsMovedToOneof,
    FieldMovedToExistingOneof,
}

impl Change {
    /// Whether there is data that a reader does not read any more.
    pub(super) fn breaks_readers(self) -> bool {
        self.description("").is_some()
    }

    /// The reference's name for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Change::PackageChanged => "PACKAGE_CHANGED",
            Change::MessageAdded => "MESSAGE_ADDED",
            Change::MessageRemoved => "MESSAGE_REMOVED",
            Change::MessageMoved => "MESSAGE_MOVED",
            Change::EnumAdded => "ENUM_ADDED",
            Change::EnumRemoved => "ENUM_REMOVED",
            Change::EnumConstAdded => "ENUM_CONST_ADDED",
            Change::EnumConstChanged => "ENUM_CONST_CHANGED",
            Change::EnumConstRemoved => "ENUM_CONST_REMOVED",
            Change::FieldAdded => "FIELD_ADDED",
            Change::FieldRemoved => "FIELD_REMOVED",
            Change::FieldNameChanged => "FIELD_NAME_CHANGED",
            Change::FieldKindChanged => "FIELD_KIND_CHANGED",
            Change::FieldScalarKindChanged => "FIELD_SCALAR_KIND_CHANGED",
            Change::FieldNamedTypeChanged => "FIELD_NAMED_TYPE_CHANGED",
            Change::FieldNumericLabelChanged => "FIELD_NUMERIC_LABEL_CHANGED",
            Change::FieldStringOrBytesLabelChanged => "FIELD_STRING_OR_BYTES_LABEL_CHANGED",
            Change::RequiredFieldAdded => "REQUIRED_FIELD_ADDED",
            Change::RequiredFieldRemoved => "REQUIRED_FIELD_REMOVED",
            Change::OneofAdded => "ONEOF_ADDED",
            Change::OneofRemoved => "ONEOF_REMOVED",
            Change::OneofFieldAdded => "ONEOF_FIELD_ADDED",
            Change::OneofFieldRemoved => "ONEOF_FIELD_REMOVED",
            Change::OneofFieldMovedToTopLevel => "ONEOF_FIELD_MOVED_TO_TOP_LEVEL",
            Change::MultipleFieldsMovedToOneof => "MULTIPLE_FIELDS_MOVED_TO_ONEOF",
            Change::FieldMovedToExistingOneof => "FIELD_MOVED_TO_EXISTING_ONEOF",
        }
    }

    /// The sentence about a change that breaks readers; changes that do not have none.
    pub(super) fn description(self, at: &str) -> Option<String> {
        Some(match self {
            Change::PackageChanged => {
                format!("The {{reader}} schema's package at '{at}' is not the package of the {{writer}} schema")
            }
            Change::MessageRemoved => {
                format!("The {{reader}} schema has no MESSAGE type for '{at}', which the {{writer}} schema has")
            }
            Change::FieldKindChanged => {
                format!("The {{reader}} schema's field at '{at}' is of another kind than in the {{writer}} schema")
            }
            Change::FieldScalarKindChanged => format!(
                "The {{reader}} schema's SCALAR field at '{at}' is encoded in another way than in the {{writer}} schema"
            ),
            Change::FieldNamedTypeChanged => format!(
                "The {{reader}} schema's MESSAGE field at '{at}' is of another type than in the {{writer}} schema"
            ),
            Change::FieldNumericLabelChanged => format!(
                "The {{reader}} schema's NUMERIC field at '{at}' has another label than in the {{writer}} schema"
            ),
            Change::RequiredFieldAdded => {
                format!("The {{reader}} schema requires the field at '{at}', which the {{writer}} schema does not have")
            }
            Change::RequiredFieldRemoved => {
                format!("The {{reader}} schema has no field at '{at}', which the {{writer}} schema requires")
            }
            Change::OneofFieldRemoved => {
                format!("The {{reader}} schema has no oneof field at '{at}', which the {{writer}} schema has")
            }
            Change::MultipleFieldsMovedToOneof => format!(
                "The {{reader}} schema's oneof at '{at}' has several fields that are in no oneof of the {{writer}} schema"
            ),
            Change::FieldMovedToExistingOneof => format!(
                "The {{reader}} schema's oneof at '{at}' joins fields that are in no common oneof of the {{writer}} schema"
            ),
            Change::MessageAdded
            | Change::MessageMoved
            | Change::EnumAdded
            | Change::EnumRemoved
            | Change::EnumConstAdded
            | Change::EnumConstChanged
            | Change::EnumConstRemoved
            | Change::FieldAdded
            | Change::FieldRemoved
            | Change::FieldNameChanged
            | Change::FieldStringOrBytesLabelChanged
            | Change::OneofAdded
            | Change::OneofRemoved
            | Change::OneofFieldAdded
            | Change::OneofFieldMovedToTopLevel => return None,
        })
    }
}
