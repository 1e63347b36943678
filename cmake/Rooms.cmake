# A room is one folder of gateway/ and one static library. DEPENDS is its arrow in the map of
# gateway/README.md, LINKS the outside libraries it alone may include.
#
#     gw_room(wire SOURCES frame.c login.c DEPENDS base)
function(gw_room name)
    cmake_parse_arguments(ROOM "" "" "SOURCES;DEPENDS;LINKS" ${ARGN})
    add_library(gw_${name} STATIC ${ROOM_SOURCES})
    target_include_directories(gw_${name} PUBLIC
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_include_directories(gw_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    target_link_libraries(gw_${name} PRIVATE gw_warnings gw_hardening ${ROOM_LINKS})
    foreach(other IN LISTS ROOM_DEPENDS)
        target_link_libraries(gw_${name} PUBLIC gw_${other})
    endforeach()
    set_property(GLOBAL APPEND PROPERTY GW_ROOMS ${name})
endfunction()

# A unit test of a room: one cmocka program, named room.file.
#
#     gw_unit_test(wire frame_test.c)
function(gw_unit_test room source)
    cmake_parse_arguments(UT "" "" "LINKS" ${ARGN})
    get_filename_component(stem ${source} NAME_WE)
    set(target unit_${room}_${stem})
    add_executable(${target} ${source})
    target_link_libraries(${target} PRIVATE gw_${room} gw_warnings PkgConfig::CMOCKA ${UT_LINKS})
    add_test(NAME unit.${room}.${stem} COMMAND ${target})
    set_tests_properties(unit.${room}.${stem} PROPERTIES LABELS unit TIMEOUT 300)
endfunction()
